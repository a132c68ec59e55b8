import { memo, type ReactElement, useEffect, useState } from "react";
import { useDesk, useJob } from "../desk";
import { SightContext, useInSight } from "../sight";
import { JobView } from "./job-view";
import { Link } from "./link";

/** A job in the list. It follows its own job, so that no other one's progress touches it; out of sight it takes its time. */
export const JobCard = memo(function JobCard({ id }: { readonly id: string }): ReactElement {
  const [ref, inSight] = useInSight<HTMLLIElement>();
  return (
    <li ref={ref} data-job={id}>
      <SightContext value={inSight}>
        <Card id={id} />
      </SightContext>
    </li>
  );
});

function Card({ id }: { readonly id: string }): ReactElement | null {
  const job = useJob(id);
  const { store } = useDesk();
  const [open, setOpen] = useState(false);

  // Whoever waited for the last job under way wants to see what came of it.
  useEffect(
    () =>
      store.subscribeTransitions((t) => {
        if (t.job.id === id && t.job.state === "succeeded" && store.active().length === 0) setOpen(true);
      }),
    [store, id],
  );

  if (job === undefined) return null;
  const heading = (
    <h3 dir="auto" className="leading-6 font-medium break-words">
      <Link to={`/jobs/${job.id}`} className="hover:underline">
        {job.title}
      </Link>
    </h3>
  );
  return <JobView job={job} heading={heading} open={open} onOpen={setOpen} />;
}

import type { Job } from "@herald/client";
import { type ReactElement, type ReactNode, useMemo, useState } from "react";
import { ConnectionBadge } from "../../components/connection";
import { JobView } from "../../components/job-view";
import { Link } from "../../components/link";
import { DeskContext, useDesk } from "../../desk";
import { jobPlace } from "../place";
import { stillDesk } from "./still-desk";

interface FrameProps {
  readonly title: string;
  readonly jobs: readonly Job[];
  readonly at: number;
  readonly online: boolean;
  /** Why nothing can be done here. */
  readonly why: string;
  /** What stands there when there are no jobs. */
  readonly empty: string;
  readonly children?: ReactNode;
}

/** A page of the past: the user's own cards, with time standing still. */
export function Frame({ title, jobs, at, online, why, empty, children }: FrameProps): ReactElement {
  const desk = useDesk();
  const still = useMemo(
    () => stillDesk(desk, jobs, at, online ? "live" : "offline", why),
    [desk, jobs, at, online, why],
  );
  const { active, ended } = still.store.list();
  return (
    <section aria-label={title} className="min-w-0 rounded-2xl bg-page ring-1 ring-edge">
      <DeskContext value={still}>
        <header className="flex min-h-12 flex-wrap items-center gap-2 border-b border-line px-4 py-2">
          <h2 className="me-auto text-sm font-medium">{title}</h2>
          <ConnectionBadge />
        </header>
        <div className="space-y-3 p-3 sm:p-4">
          {children}
          {jobs.length === 0 && <p className="px-2 py-10 text-center text-sm text-soft">{empty}</p>}
          <Cards name="Under way" ids={active} />
          <Cards name="Ended" ids={ended} />
        </div>
      </DeskContext>
    </section>
  );
}

function Cards({ name, ids }: { readonly name: string; readonly ids: readonly string[] }): ReactElement | null {
  const { store } = useDesk();
  if (ids.length === 0) return null;
  return (
    <>
      <h3 className="px-1 pt-1 text-sm font-medium text-soft">
        {name} <span className="text-faint tabular-nums">{ids.length}</span>
      </h3>
      <ul aria-label={name} className="space-y-3">
        {ids.map((id) => {
          const job = store.job(id);
          return job === undefined ? null : (
            <li key={id}>
              <Card job={job} />
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Card({ job }: { readonly job: Job }): ReactElement {
  const [open, setOpen] = useState(false);
  const heading = (
    <h4 className="leading-6 font-medium break-words">
      <Link to={jobPlace(job.id)} className="hover:underline">
        {job.title}
      </Link>
    </h4>
  );
  return <JobView job={job} heading={heading} open={open} onOpen={setOpen} />;
}

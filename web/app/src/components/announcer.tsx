import { type ReactElement, useEffect, useState } from "react";
import { useDesk } from "../desk";
import { stateLabel } from "../progress";

/** Tells screen readers when a job starts and ends, and nothing in between. */
export function Announcer(): ReactElement {
  const { store } = useDesk();
  const [news, setNews] = useState("");
  useEffect(
    () =>
      store.subscribeTransitions(({ job, kind }) => {
        setNews(kind === "started" ? `${job.title} has started.` : `${job.title}: ${stateLabel(job).toLowerCase()}.`);
      }),
    [store],
  );
  return (
    <p aria-live="polite" className="sr-only">
      {news}
    </p>
  );
}

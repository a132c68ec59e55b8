import { type ReactElement, useEffect, useState } from "react";
import { useDesk } from "../desk";
import { noticeOf } from "../notices";
import { stateLabel } from "../progress";

/** Tells screen readers when a job starts and ends, and of notifications, and nothing in between. */
export function Announcer(): ReactElement {
  const { live, store } = useDesk();
  const [news, setNews] = useState("");
  useEffect(
    () =>
      store.subscribeTransitions(({ job, kind }) => {
        setNews(kind === "started" ? `${job.title} has started.` : `${job.title}: ${stateLabel(job).toLowerCase()}.`);
      }),
    [store],
  );
  // Job ends are told above, once; of the rest the news knows.
  useEffect(
    () =>
      live.subscribeLog((event) => {
        const notice = event.type.startsWith("notification.") ? noticeOf(event) : undefined;
        if (notice !== undefined) setNews(`${notice.title}. ${notice.text}`.trim());
      }),
    [live],
  );
  return (
    <p aria-live="polite" className="sr-only">
      {news}
    </p>
  );
}

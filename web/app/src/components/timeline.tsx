import type { Job } from "@herald/client";
import { type ReactElement, useEffect, useState } from "react";
import { useDesk } from "../desk";
import { clockTime, instant } from "../format";
import { messageOf } from "../live";
import { entriesOf, type TimelineEntry } from "../timeline";

/** The job's own log, read again whenever more than its progress has changed. */
export function Timeline({ job }: { readonly job: Job }): ReactElement {
  const { client } = useDesk();
  const [entries, setEntries] = useState<readonly TimelineEntry[]>();
  const [error, setError] = useState("");
  const { id, state, attempt, step, stalled } = job;

  useEffect(() => {
    let current = true;
    client.jobEvents(id).then(
      ({ events }) => {
        if (!current) return;
        setEntries(entriesOf(events));
        setError("");
      },
      (err: unknown) => {
        if (current) setError(messageOf(err));
      },
    );
    return () => {
      current = false;
    };
  }, [client, id, state, attempt, step, stalled]);

  if (error !== "") return <p className="text-sm text-bad">{error}</p>;
  if (entries === undefined) return <p className="text-sm text-faint">Reading the log</p>;
  return (
    <ol className="text-sm">
      {entries.map((entry) => (
        <Entry key={entry.seq} entry={entry} />
      ))}
    </ol>
  );
}

const dots = { plain: "bg-edge", good: "bg-accent", warn: "bg-warn", bad: "bg-bad" };

function Entry({ entry }: { readonly entry: TimelineEntry }): ReactElement {
  return (
    <li className="group relative flex gap-3 pb-3 last:pb-0">
      <span className="absolute top-4.5 -bottom-1 left-[3.5px] w-px bg-line group-last:hidden" />
      <span className={`mt-1.5 size-2 shrink-0 rounded-full ${dots[entry.tone]}`} />
      <div className="min-w-0 flex-1">
        <p className={entry.tone === "plain" ? "text-soft" : "text-ink"}>{entry.text}</p>
        {entry.note !== "" && <p className="break-words whitespace-pre-wrap text-soft">{entry.note}</p>}
      </div>
      <time dateTime={entry.time} title={instant(entry.time)} className="text-faint tabular-nums">
        {clockTime(entry.time)}
      </time>
    </li>
  );
}

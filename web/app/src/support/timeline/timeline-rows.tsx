import { memo, type ReactElement, type ReactNode, useMemo } from "react";
import { DownIcon } from "../../components/icons";
import { clockTime, duration, instant } from "../../format";
import { Deliveries } from "../deliveries";
import { Json } from "../json";
import type { LogRecord } from "../record";
import type { Severity } from "../sentences";
import { type Change, differences } from "./diff";
import { jobAfter, jobBefore, tellsOfJob } from "./fold";
import type { Attempt, Fold, Row } from "./rows";
import type { Clock } from "./view";

/** What rows need besides themselves. */
export interface Around {
  readonly events: readonly LogRecord[];
  readonly clock: Clock;
  /** Whose job it is: whom the question why is about. */
  readonly owner: string;
  /** The events stand in a file, so the server is not asked about them. */
  readonly saved: boolean;
  readonly open: ReadonlySet<number>;
  readonly onToggle: (seq: number) => void;
  readonly onFold: (fold: Fold) => void;
}

export function TimelineRow({ row, around }: { readonly row: Row; readonly around: Around }): ReactElement {
  switch (row.kind) {
    case "attempt":
      return <AttemptRow attempt={row.attempt} />;
    case "gap":
      return <p className="bg-warn-tint px-4 py-2 text-sm text-warn sm:px-5">{row.text}</p>;
    case "folded":
      return <FoldRow fold={row.fold} around={around} />;
    case "event":
      return (
        <EventRow
          {...row}
          open={around.open.has(row.event.seq)}
          when={<When events={around.events} index={row.index} clock={around.clock} />}
          around={around}
        />
      );
  }
}

const outcomes: Record<Attempt["outcome"], string> = {
  "under way": "under way",
  succeeded: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
  "given up": "was given up",
};

function AttemptRow({ attempt }: { readonly attempt: Attempt }): ReactElement {
  const { number, worker, startedAt, endedAt, outcome, error, output } = attempt;
  const look = outcome === "failed" ? "text-bad" : outcome === "succeeded" ? "text-accent" : "text-soft";
  return (
    <div className="bg-well/70 px-4 py-2.5 sm:px-5">
      <h2 className="flex flex-wrap items-baseline gap-x-2 text-sm">
        <span className="font-semibold">Attempt {number}</span>
        <span className={look}>{outcomes[outcome]}</span>
        <span className="min-w-0 truncate text-soft">{worker === "" ? "" : `on ${worker}`}</span>
        <span className="ms-auto text-soft tabular-nums">
          {endedAt === undefined ? "" : duration(endedAt - startedAt)}
        </span>
      </h2>
      {error !== "" && <p className="mt-1 text-sm break-words text-bad">{error}</p>}
      {output !== "" && (
        <pre
          tabIndex={0}
          role="region"
          aria-label={`The last output of attempt ${String(number)}`}
          className="mt-1.5 max-h-48 overflow-auto rounded-lg bg-card p-2.5 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap ring-1 ring-line ring-inset"
        >
          {output}
        </pre>
      )}
    </div>
  );
}

const line =
  "group relative grid min-h-10 grid-cols-[auto_5.5rem_1fr] items-start gap-x-3 px-4 py-2 text-sm hover:bg-well/50 sm:grid-cols-[auto_7rem_1fr_auto_4.5rem] sm:px-5";

function FoldRow({ fold, around }: { readonly fold: Fold; readonly around: Around }): ReactElement {
  const took = Date.parse(fold.last) - Date.parse(fold.time);
  return (
    <div className={line}>
      <span
        aria-hidden="true"
        className={`-mx-px mt-1.25 text-faint transition-transform ${fold.open ? "" : "-rotate-90"}`}
      >
        <DownIcon size={10} />
      </span>
      <span className="text-faint tabular-nums">
        <When events={around.events} index={fold.index} clock={around.clock} />
      </span>
      <button
        type="button"
        aria-expanded={fold.open}
        onClick={() => {
          around.onFold(fold);
        }}
        className="text-start text-soft after:absolute after:inset-0 after:content-['']"
      >
        {fold.text}
      </button>
      <span className="hidden text-faint tabular-nums sm:block">over {duration(took)}</span>
      <span className="hidden text-end text-faint tabular-nums sm:block">#{fold.seq}</span>
    </div>
  );
}

interface WhenProps {
  readonly events: readonly LogRecord[];
  readonly index: number;
  readonly clock: Clock;
}

/** The time of an event as the reader wants it, with the exact instant on hover. */
function When({ events, index, clock }: WhenProps): ReactElement {
  const event = events[index];
  const time = event?.time ?? "";
  return (
    <time dateTime={time} title={instant(time)}>
      {clock === "day" ? clockTime(time) : `+${duration(since(events, index, clock))}`}
    </time>
  );
}

function since(events: readonly LogRecord[], index: number, clock: "start" | "before"): number {
  const from = events[clock === "start" ? 0 : Math.max(index - 1, 0)];
  return Date.parse(events[index]?.time ?? "") - Date.parse(from?.time ?? "");
}

const dots: Record<Severity, string> = { info: "bg-edge", good: "bg-accent", warning: "bg-warn-fill", bad: "bg-bad" };
const words: Record<Severity, string> = { info: "", good: "Good: ", warning: "Warning: ", bad: "Problem: " };

type EventRowProps = Omit<Extract<Row, { kind: "event" }>, "kind" | "key"> & {
  readonly open: boolean;
  readonly when: ReactNode;
  readonly around: Around;
};

const EventRow = memo(function EventRow(props: EventRowProps): ReactElement {
  const { event, index, said, inside, open, when, around } = props;
  const id = `event-${String(event.seq)}`;
  return (
    <div className={open ? "bg-well/40" : undefined}>
      <div className={line}>
        <span
          aria-hidden="true"
          className={`mt-1.5 size-2 rounded-full ${dots[said.severity]} ${inside ? "opacity-50" : ""}`}
        />
        <span className="text-faint tabular-nums">{when}</span>
        <p className="min-w-0 break-words">
          <button
            type="button"
            aria-expanded={open}
            aria-controls={open ? id : undefined}
            onClick={() => {
              around.onToggle(event.seq);
            }}
            className={`text-start after:absolute after:inset-0 after:content-[''] ${inside ? "text-soft" : ""}`}
          >
            <span className="sr-only">{words[said.severity]}</span>
            {said.text}
          </button>
          {said.note !== "" && <span className="text-faint"> — {said.note.split("\n", 1)[0]}</span>}
        </p>
        <span className="hidden max-w-40 truncate text-faint sm:block">{event.actor}</span>
        <span className="hidden text-end text-faint tabular-nums sm:block">#{event.seq}</span>
      </div>
      {open && (
        <div id={id} className="border-t border-line px-4 py-4 sm:px-5">
          <Detail event={event} index={index} note={said.note} around={around} />
        </div>
      )}
    </div>
  );
});

interface DetailProps {
  readonly event: LogRecord;
  readonly index: number;
  readonly note: string;
  readonly around: Around;
}

/** An event in full: what it changed, what it carries, and what became of it. */
function Detail({ event, index, note, around }: DetailProps): ReactElement {
  const { events, owner, saved } = around;
  return (
    <div className="grid gap-x-8 gap-y-5 text-sm lg:grid-cols-2">
      <div className="min-w-0 space-y-5">
        {note.includes("\n") && <pre className="font-mono text-xs break-words whitespace-pre-wrap">{note}</pre>}
        <p className="text-xs text-faint tabular-nums">
          {event.type}, written {instant(event.time)}, in the log {instant(event.recorded_at)}
          {event.actor === "" ? "" : `, caused by ${event.actor}`}
        </p>
        {tellsOfJob(event) && <Changes events={events} index={index} />}
        {saved ? (
          <p className="text-faint">What became of it is not in the file.</p>
        ) : (
          <Deliveries seq={event.seq} suggested={owner} />
        )}
      </div>
      <section aria-label="Payload" className="min-w-0">
        <h3 className="mb-2 font-medium">Payload</h3>
        <Json value={event.data} label={`Payload of event ${String(event.seq)}`} />
      </section>
    </div>
  );
}

function Changes({ events, index }: { readonly events: readonly LogRecord[]; readonly index: number }): ReactElement {
  const changes = useMemo(() => {
    const before = jobBefore(events, index);
    const event = events[index];
    return before === undefined || event === undefined ? undefined : differences(before, jobAfter(before, event));
  }, [events, index]);
  if (changes === undefined) {
    return <p className="text-soft">There is no version before it to compare it with.</p>;
  }
  if (changes.length === 0) return <p className="text-soft">Nothing of the job has changed.</p>;
  return (
    <section aria-label="What changed">
      <h3 className="mb-2 font-medium">What changed</h3>
      <table className="w-full table-fixed text-start text-[0.8125rem]">
        <thead className="text-xs text-faint">
          <tr>
            <th className="w-1/3 pb-1 text-start font-normal">Field</th>
            <th className="pb-1 text-start font-normal">Before</th>
            <th className="pb-1 text-start font-normal">After</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <ChangeRow key={change.path} change={change} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ChangeRow({ change }: { readonly change: Change }): ReactElement {
  const { path, from, to } = change;
  return (
    <tr className="border-t border-line align-top">
      <th scope="row" className="py-1 pe-3 text-start font-mono font-normal break-words text-soft">
        {path}
      </th>
      <td className="py-1 pe-3 font-mono break-words whitespace-pre-wrap text-faint">
        {from === undefined ? "–" : from === "" ? "empty" : from}
      </td>
      <td className="py-1 font-mono break-words whitespace-pre-wrap">
        {to === undefined ? "–" : to === "" ? "empty" : to}
      </td>
    </tr>
  );
}

import { memo, type ReactElement } from "react";
import { Link } from "../components/link";
import { instant, shortTime } from "../format";
import { EventDetail } from "./event-detail";
import { jobPlace, userPlace } from "./place";
import { type LogRecord, membersOf } from "./record";
import { sentenceOf, type Severity } from "./sentences";

interface EventRowProps {
  readonly event: LogRecord;
  readonly open: boolean;
  readonly onToggle: (seq: number) => void;
}

const dots: Record<Severity, string> = { info: "bg-edge", good: "bg-accent", warning: "bg-warn-fill", bad: "bg-bad" };
const words: Record<Severity, string> = { info: "", good: "Good: ", warning: "Warning: ", bad: "Problem: " };

/** One event in a line, as a plain sentence; it opens in place. */
export const EventRow = memo(function EventRow({ event, open, onToggle }: EventRowProps): ReactElement {
  const said = sentenceOf(event);
  const id = `event-${String(event.seq)}`;
  return (
    <div className={open ? "bg-well/40" : undefined}>
      <div className="group relative grid min-h-11 grid-cols-[auto_1fr] items-center gap-x-3 px-3 py-2 hover:bg-well/60 sm:grid-cols-[auto_1fr_8rem_auto_4.5rem] sm:px-4">
        <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${dots[said.severity]}`} />
        <p className="min-w-0 text-sm sm:truncate">
          <button
            type="button"
            aria-expanded={open}
            aria-controls={open ? id : undefined}
            onClick={() => {
              onToggle(event.seq);
            }}
            className="text-start after:absolute after:inset-0 after:content-['']"
          >
            <span className="sr-only">{words[said.severity]}</span>
            {said.text}
          </button>
          <About event={event} subject={said.subject} />
          {said.note !== "" && (
            <span className="max-sm:line-clamp-2 text-faint">
              <span className="max-sm:hidden"> — </span>
              {firstLine(said.note)}
            </span>
          )}
        </p>
        <div className="col-start-2 flex min-w-0 flex-wrap gap-x-3 text-xs text-soft sm:contents">
          <Who event={event} />
          <time
            dateTime={event.time}
            title={instant(event.time)}
            className="relative text-faint tabular-nums sm:text-end"
          >
            {shortTime(event.time)}
          </time>
          <span className="text-faint tabular-nums sm:text-end">#{event.seq}</span>
        </div>
      </div>
      {open && (
        <div id={id} className="border-t border-line px-3 py-4 sm:px-4">
          <EventDetail event={event} note={said.note} bad={said.severity === "bad"} />
        </div>
      )}
    </div>
  );
});

/** Of which job it is. */
function About({ event, subject }: { readonly event: LogRecord; readonly subject: string }): ReactElement | null {
  const job = jobOf(event);
  if (job === undefined) return null;
  return (
    <Link to={jobPlace(job)} className="relative ms-2 text-soft underline-offset-2 hover:text-ink hover:underline">
      {subject === "" ? `Job ${job.slice(-8)}` : subject}
    </Link>
  );
}

/** Whom it concerns, as far as is known. */
function Who({ event }: { readonly event: LogRecord }): ReactElement {
  const [first, ...others] = usersOf(event);
  if (first === undefined)
    return (
      <span className="text-faint max-sm:empty:hidden">{event.topics?.includes("all") === true ? "Everyone" : ""}</span>
    );
  return (
    <span className="relative min-w-0 truncate">
      <Link to={userPlace(first)} className="underline-offset-2 hover:text-ink hover:underline">
        {first}
      </Link>
      {others.length > 0 && <span className="text-faint"> +{others.length}</span>}
    </span>
  );
}

/** The job that an event is of. */
export function jobOf(event: LogRecord): string | undefined {
  if (event.job_id !== undefined) return event.job_id;
  const { id } = membersOf(event.data);
  return event.type.startsWith("job.") && typeof id === "string" ? id : undefined;
}

/** The users whom an event names; its job's owner where its topics are not known. */
export function usersOf(event: LogRecord): string[] {
  const named = (event.topics ?? []).filter((t) => t.startsWith("user:")).map((t) => t.slice("user:".length));
  const { owner } = membersOf(event.data);
  return named.length === 0 && typeof owner === "string" && owner !== "" ? [owner] : named;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

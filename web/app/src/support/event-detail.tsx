import type { ReactElement, ReactNode } from "react";
import { Link } from "../components/link";
import { instant } from "../format";
import { CopyButton } from "./copy-button";
import { Deliveries } from "./deliveries";
import { jobOf, usersOf } from "./event-row";
import { searchPlace } from "./filters";
import { Json } from "./json";
import { jobPlace, userPlace } from "./place";
import type { LogRecord } from "./record";
import { useAnswer } from "./use-answer";

interface EventDetailProps {
  readonly event: LogRecord;
  /** What the sentence left out. */
  readonly note: string;
  /** It is about something that went wrong. */
  readonly bad: boolean;
}

/** An event in full: what it is, what became of it, what it carries. */
export function EventDetail({ event, note, bad }: EventDetailProps): ReactElement {
  // A stream does not say whom an event concerns; the log does.
  const known = event.topics !== undefined;
  const full = useAnswer<LogRecord>(known ? undefined : `/api/events/${String(event.seq)}`);
  const record = full.answer ?? event;
  return (
    <div className="grid gap-x-8 gap-y-5 text-sm lg:grid-cols-2">
      <div className="min-w-0 space-y-5">
        {note !== "" && (
          <p
            className={`rounded-lg p-3 break-words whitespace-pre-wrap ${bad ? "bg-bad-tint" : "bg-card ring-1 ring-line ring-inset"}`}
          >
            {note}
          </p>
        )}
        <Facts event={record} />
        {full.error !== "" && <p className="text-bad">{full.error}</p>}
        <Deliveries seq={event.seq} suggested={usersOf(record)[0] ?? ""} />
      </div>
      <Payload event={record} />
    </div>
  );
}

function Facts({ event }: { readonly event: LogRecord }): ReactElement {
  const job = jobOf(event);
  const users = usersOf(event);
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
      <Fact name="Type">
        <Link to={searchPlace({ types: [event.type] })} className="underline-offset-2 hover:underline">
          {event.type}
        </Link>
      </Fact>
      <Fact name="Written">{instant(event.time)}</Fact>
      {event.recorded_at !== "" && (
        <Fact name="In the log">{`${instant(event.recorded_at)}, as #${String(event.seq)}`}</Fact>
      )}
      {event.actor !== "" && <Fact name="Caused by">{event.actor}</Fact>}
      {users.length > 0 && (
        <Fact name={users.length === 1 ? "User" : "Users"}>
          {users.map((user, i) => (
            <span key={user}>
              {i > 0 && ", "}
              <Link to={userPlace(user)} className="text-accent underline underline-offset-2">
                {user}
              </Link>
            </span>
          ))}
        </Fact>
      )}
      {job !== undefined && (
        <Fact name="Job">
          <Link to={jobPlace(job)} className="text-accent underline underline-offset-2">
            {job}
          </Link>
        </Fact>
      )}
      {event.topics !== undefined && event.topics.length > 0 && <Fact name="Topics">{event.topics.join(", ")}</Fact>}
    </dl>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactElement {
  return (
    <div className="contents">
      <dt className="text-soft">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </div>
  );
}

function Payload({ event }: { readonly event: LogRecord }): ReactElement {
  return (
    <section aria-label="Payload" className="min-w-0">
      <div className="mb-2 flex items-center gap-2">
        <h2 className="me-auto font-medium">Payload</h2>
        <CopyButton text={() => JSON.stringify(event.data, null, 2)}>Copy JSON</CopyButton>
        <CopyButton text={() => location.origin + searchPlace({ event: event.seq })}>Copy link</CopyButton>
      </div>
      <Json value={event.data} label={`Payload of event ${String(event.seq)}`} />
    </section>
  );
}

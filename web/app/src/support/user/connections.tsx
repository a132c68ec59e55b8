import { type ReactElement, useState } from "react";
import { useTime } from "../../desk";
import { count, duration, elapsed, instant, shortTime } from "../../format";
import type { Connection, ConnectionPage } from "../api";
import { Failed, Waiting } from "../states";
import { onlineOf, pagesOf } from "../then/history";
import { useAnswer } from "../use-answer";
import { clientOf, paceOf, reasonOf } from "../streams";

/** How many streams are listed before the reader asks for more. */
const few = 8;
const many = 200;

/** The user's streams, now and past, with the time between them in which nobody was there. */
export function UserConnections({ user }: { readonly user: string }): ReactElement {
  const [all, setAll] = useState(false);
  const path = `/api/connections?user=${encodeURIComponent(user)}&limit=${String(many)}`;
  const { answer, error, again } = useAnswer<ConnectionPage>(path);
  if (error !== "") return <Failed title="Their connections could not be read" error={error} onAgain={again} />;
  if (answer === undefined) return <Waiting what="Reading their connections" />;
  const { connections, next } = answer;
  const shown = all ? connections : connections.slice(0, few);
  return (
    <>
      {connections.length === 0 && <p className="text-sm text-soft">None is remembered. Past ones are for 30 days.</p>}
      <ol className="text-sm">
        {shown.map((c, i) => (
          <li key={c.id}>
            {i > 0 && <Gap user={user} connections={connections} index={i} />}
            <Stream connection={c} />
          </li>
        ))}
      </ol>
      {connections.length > few && (
        <button
          type="button"
          onClick={() => {
            setAll(!all);
          }}
          className="mt-2 text-sm text-accent underline underline-offset-2"
        >
          {all ? "Show fewer" : `Show all ${count(connections.length)}${next === "" ? "" : " of the newest"}`}
        </button>
      )}
    </>
  );
}

function Stream({ connection }: { readonly connection: Connection }): ReactElement {
  const now = useTime();
  const { opened_at, closed_at, user_agent, visible } = connection;
  const open = closed_at === null;
  return (
    <div className="flex gap-3 py-1.5">
      <span aria-hidden="true" className={`mt-1.5 size-2 shrink-0 rounded-full ${open ? "bg-accent" : "bg-edge"}`} />
      <div className="min-w-0">
        <p className="tabular-nums">
          <time dateTime={opened_at} title={instant(opened_at)}>
            {shortTime(opened_at)}
          </time>{" "}
          {open ? (
            <span className="text-accent">open for {elapsed(now - Date.parse(opened_at))}</span>
          ) : (
            <span className="text-soft">for {duration(Date.parse(closed_at) - Date.parse(opened_at))}</span>
          )}
        </p>
        <p className="break-words text-soft">
          {clientOf(user_agent)}
          {open && (visible ? ", in view" : ", not in view")}
        </p>
        <p className="break-words text-faint">{open ? paceOf(connection).text : reasonOf(connection)}</p>
      </div>
    </div>
  );
}

/** A page that is loaded anew is away for a moment. */
const worthSaying = 1000;

interface GapProps {
  readonly user: string;
  readonly connections: readonly Connection[];
  readonly index: number;
}

/** Between a stream and the one before it in time, when nobody was there in between. */
function Gap({ user, connections, index }: GapProps): ReactElement | null {
  const gap = gapBefore(pagesOf(connections, user), connections[index - 1]);
  if (gap === undefined || gap < worthSaying) return null;
  return (
    <p className="my-0.5 ms-0.75 border-s-2 border-dotted border-warn-fill py-1 ps-4 text-warn tabular-nums">
      Offline for {duration(gap)}
    </p>
  );
}

/** How long no page was open right before this one was; undefined when one was, or none is known. */
export function gapBefore(pages: readonly Connection[], later: Connection | undefined): number | undefined {
  if (later === undefined) return undefined;
  const online = onlineOf(pages);
  const opened = Date.parse(later.opened_at);
  const index = online.findIndex((s) => s.from === opened);
  const before = online[index - 1];
  return index <= 0 || before === undefined ? undefined : opened - before.to;
}

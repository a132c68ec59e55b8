import { type ReactElement, useEffect, useState } from "react";
import { Link } from "../../components/link";
import { messageOf } from "../../live";
import { replaceQuery, useQuery } from "../../router";
import { ask } from "../api";
import { userPlace } from "../place";
import type { LogRecord } from "../record";
import { Failed, Waiting } from "../states";
import type { History } from "./history";
import { loadHistory } from "./load";
import { Player } from "./player";
import { around, parseThen, periodOf, type ThenView, thenQuery } from "./view";

/** A user's page as they saw it, at any moment of their past. */
export function ThenPage({ user }: { readonly user: string }): ReactElement {
  const view = parseThen(useQuery());
  const { from } = view;
  return (
    <>
      <header>
        <h1 className="text-lg leading-7 font-semibold break-words">
          <Link to={userPlace(user)} className="hover:underline">
            {user}
          </Link>
          ’s page, as they saw it
        </h1>
        <p className="text-sm text-soft">
          Put together from the log and from what was sent to their connections. That you look at it is written down
          too.
        </p>
      </header>
      {from === undefined ? (
        <Finding user={user} view={view} />
      ) : (
        <Loaded key={`${user} ${String(from)} ${view.span}`} user={user} view={{ ...view, from }} />
      )}
    </>
  );
}

interface FindingProps {
  readonly user: string;
  readonly view: ThenView;
}

/** Finds the stretch to look at: around the event that is asked for, or else around the user's last one. */
function Finding({ user, view }: FindingProps): ReactElement {
  const [error, setError] = useState("");
  const [tries, setTries] = useState(0);
  const { span, truth } = view;
  const seq = view.at !== undefined && "seq" in view.at ? view.at.seq : 0;
  const time = view.at !== undefined && "time" in view.at ? view.at.time : 0;
  useEffect(() => {
    const stopping = new AbortController();
    const found = time > 0 ? Promise.resolve(time) : find(user, seq, stopping.signal);
    found.then(
      (at) => {
        if (!stopping.signal.aborted)
          replaceQuery(thenQuery({ span, truth, from: around(at, span), at: { time: at } }));
      },
      (err: unknown) => {
        if (!stopping.signal.aborted) setError(messageOf(err));
      },
    );
    return () => {
      stopping.abort();
    };
  }, [user, seq, time, span, truth, tries]);
  if (error === "") return <Waiting what="Looking for the moment" />;
  const again = () => {
    setError("");
    setTries((n) => n + 1);
  };
  return <Failed title="The moment could not be found" error={error} onAgain={again} />;
}

async function find(user: string, seq: number, signal: AbortSignal): Promise<number> {
  if (seq > 0) return Date.parse((await ask<LogRecord>(`/api/events/${String(seq)}`, signal)).recorded_at);
  const path = `/api/users/${encodeURIComponent(user)}/events?limit=1`;
  const [last] = (await ask<{ events: LogRecord[] }>(path, signal)).events;
  return last === undefined ? Date.now() : Date.parse(last.recorded_at);
}

interface LoadedProps {
  readonly user: string;
  readonly view: ThenView & { readonly from: number };
}

function Loaded({ user, view }: LoadedProps): ReactElement {
  const [history, setHistory] = useState<History>();
  const [error, setError] = useState("");
  const [tries, setTries] = useState(0);
  const { period, at } = periodOf(view);
  useEffect(() => {
    const stopping = new AbortController();
    loadHistory(user, { from: period.from, to: period.to }, stopping.signal).then(
      (read) => {
        if (!stopping.signal.aborted) setHistory(read);
      },
      (err: unknown) => {
        if (!stopping.signal.aborted) setError(messageOf(err));
      },
    );
    return () => {
      stopping.abort();
    };
  }, [user, period.from, period.to, tries]);
  if (history !== undefined) return <Player user={user} history={history} view={view} start={at} />;
  if (error === "") return <Waiting what="Reading what they were told" />;
  const again = () => {
    setError("");
    setTries((n) => n + 1);
  };
  return <Failed title="Their past could not be read" error={error} onAgain={again} />;
}

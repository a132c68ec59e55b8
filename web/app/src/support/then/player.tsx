import { type ReactElement, useMemo } from "react";
import { Link } from "../../components/link";
import { clockTime, instant, shortTime } from "../../format";
import { arrivedOf } from "../arrived";
import { jobPlace } from "../place";
import { sentenceOf } from "../sentences";
import { Controls } from "./controls";
import { Frame } from "./frame";
import {
  type History,
  momentOf,
  offlineAt,
  onlineOf,
  stepFrom,
  stepsOf,
  type Stretch,
  type ToldRecord,
} from "./history";
import { Moments } from "./moments";
import { useMoment } from "./use-moment";
import type { ThenView } from "./view";

interface PlayerProps {
  readonly user: string;
  readonly history: History;
  readonly view: ThenView & { readonly from: number };
  readonly start: number;
}

/** A stretch of a user's past that can be gone through, moment by moment. */
export function Player({ user, history, view, start }: PlayerProps): ReactElement {
  const moment = useMoment(history.period, start);
  const { at, goTo } = moment;
  const online = useMemo(() => onlineOf(history.pages), [history]);
  const steps = useMemo(() => stepsOf(history, online), [history, online]);
  const then = useMemo(() => momentOf(history, at), [history, at]);
  const last = history.events.findLast((e) => Date.parse(e.recorded_at) <= at);
  const gap = offlineAt(online, at);
  const step = (onward: boolean) => {
    const to = stepFrom(steps, at, onward);
    if (to !== undefined) goTo(to.at);
  };
  const time = new Date(at).toISOString();
  const words = `${shortTime(time)}, ${gap === undefined ? "connected" : offlineWords(gap)}`;
  return (
    <>
      <section aria-label="Moment" className="space-y-3 rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
        <Controls
          moment={moment}
          period={history.period}
          view={view}
          user={user}
          before={stepFrom(steps, at, false) !== undefined}
          after={stepFrom(steps, at, true) !== undefined}
          onStep={step}
        />
        <Moments history={history} online={online} at={at} words={words} onAt={goTo} onStep={step} />
        <div role="status" className="text-sm">
          <p className="flex flex-wrap items-baseline gap-x-2">
            <time dateTime={time} title={instant(time)} className="text-base font-semibold tabular-nums">
              {shortTime(time)}
            </time>
            <Happened
              event={last}
              at={at}
              title={[...then.truth, ...then.shown].find((j) => j.id === last?.job_id)?.title}
            />
          </p>
          {gap !== undefined && (
            <p className="mt-1 text-warn">
              {sentenceCase(offlineWords(gap))}. {!then.opened ? "" : "Their cards stand still."}
            </p>
          )}
        </div>
        {history.partial && (
          <p className="text-sm text-warn">
            Not all of it is here: there is more than is read at once, or the beginning is no longer kept. A shorter
            stretch may have all of it.
          </p>
        )}
      </section>
      <div className={`grid items-start gap-4 ${view.truth ? "lg:grid-cols-2" : ""}`}>
        <Frame
          title={`What ${user} saw`}
          jobs={then.shown}
          at={at}
          online={gap === undefined}
          why={`You see the page as ${user} saw it, and nothing can be done in the past.`}
          empty={
            !then.opened ? "No page of theirs had been open by then, as far as is remembered." : "Nothing was here."
          }
        />
        {view.truth && (
          <Frame
            title="What was so"
            jobs={then.truth}
            at={at}
            online
            why="This is the past, and nothing can be done in it."
            empty="There were no jobs."
          />
        )}
      </div>
    </>
  );
}

interface HappenedProps {
  readonly event: ToldRecord | undefined;
  readonly at: number;
  /** What its job is called, where that is known. */
  readonly title: string | undefined;
}

/** What happened last, and whether it came to the user. */
function Happened({ event, at, title = "its job" }: HappenedProps): ReactElement {
  if (event === undefined) return <span className="text-soft">Nothing has happened yet in this stretch</span>;
  const said = sentenceOf(event);
  const arrived = arrivedOf(event.receipt);
  const look = { info: "text-soft", good: "text-accent", warning: "text-warn", bad: "text-bad" }[arrived.severity];
  return (
    <>
      {at - Date.parse(event.recorded_at) >= 1000 && (
        <span className="text-faint">last at {clockTime(event.recorded_at)}:</span>
      )}
      <span className="min-w-0 break-words">
        {said.text}
        {event.job_id !== undefined && (
          <>
            {" · "}
            <Link
              to={`${jobPlace(event.job_id)}?open=${String(event.seq)}`}
              className="text-accent underline underline-offset-2"
            >
              {said.subject === "" ? title : said.subject}
            </Link>
          </>
        )}
      </span>
      <span className={look}>{arrived.text}</span>
    </>
  );
}

/** "offline from 14:02 to 14:07", as far as its ends are known. */
export function offlineWords({ from, to }: Stretch): string {
  const since = Number.isFinite(from) ? shortTime(new Date(from).toISOString()) : "";
  const until = Number.isFinite(to) ? shortTime(new Date(to).toISOString()) : "";
  if (since === "" && until === "") return "never connected, as far as is remembered";
  if (since === "") return `not connected before ${until}`;
  return until === "" ? `offline since ${since}` : `offline from ${since} to ${until}`;
}

function sentenceCase(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

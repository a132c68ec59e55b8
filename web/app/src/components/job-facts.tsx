import type { Job } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { useConnection, useTime } from "../desk";
import { ago, count, elapsed, timeLeft } from "../format";
import { remainingAt } from "../progress";
import { detail } from "../video";
import { Countdown } from "./ticking";

/** What is known of a job under way: how fast, how far, how long still. */
export function JobFacts({ job }: { readonly job: Job }): ReactElement | null {
  const facts = factsOf(job);
  const note = noteOf(job);
  return (
    <div className="flex flex-1 basis-64 flex-wrap items-baseline gap-x-4 gap-y-1 text-sm text-soft tabular-nums">
      <p className="mr-auto">
        {facts.map((fact, i) => (
          <span key={fact} className="whitespace-nowrap">
            {i > 0 && <Dot />}
            {fact}
          </span>
        ))}
        {note !== "" && (
          <span>
            {facts.length > 0 && <Dot />}
            {note}
          </span>
        )}
      </p>
      <p className="whitespace-nowrap">
        <Outlook job={job} />
      </p>
    </div>
  );
}

function noteOf(job: Job): ReactNode {
  if (job.state === "cancelling") return "What is half done is removed.";
  if (job.state !== "retrying" || job.retry_at === null) return job.message;
  return (
    <>
      Next try <Countdown to={job.retry_at} after="any moment" />
    </>
  );
}

/** A separator between facts on one line. */
export function Dot(): ReactElement {
  return <span className="px-1.5 text-faint">·</span>;
}

function factsOf(job: Job): string[] {
  if (job.state !== "running" && job.state !== "cancelling") return [];
  const speed = detail(job, "speed");
  const fps = detail(job, "fps");
  const facts: string[] = [];
  if (speed !== undefined && speed > 0) facts.push(`${speed.toFixed(1)}×`);
  if (fps !== undefined && fps > 0) facts.push(`${count(fps)} fps`);
  if (job.processed !== null) {
    const total = job.total === null ? "" : ` of ${count(Math.max(job.total, job.processed))}`;
    facts.push(`${count(job.processed)}${total} ${job.unit}`.trim());
  }
  return facts;
}

/** How old the last report may be before the page says how old it is. */
const fresh = 3000;

function Outlook({ job }: { readonly job: Job }): ReactNode {
  const now = useTime();
  const live = useConnection() === "live";
  if (job.state !== "running") return null;
  const heard = Date.parse(job.heartbeat_at ?? job.updated_at);
  if (job.stalled) return <span className="text-warn">No word from the worker for {elapsed(now - heard)}</span>;
  // Without word from the server, what it last expected is no promise.
  const left = live ? remainingAt(job, now) : undefined;
  const age = now - Math.max(heard, Date.parse(job.updated_at));
  return (
    <>
      {age > fresh && <span className="text-faint">updated {ago(age)}</span>}
      {age > fresh && left !== undefined && <Dot />}
      {left !== undefined && <span className="text-ink">{timeLeft(left)}</span>}
    </>
  );
}

import type { Job } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { useConnection, useTime } from "../desk";
import { ago, count, elapsed, range, rangeLeft, sentence } from "../format";
import { leftAt, usualAt } from "../progress";
import { detail } from "../video";
import { Countdown } from "./ticking";

/** What is known of a job under way: how fast, how far, how long still. */
export function JobFacts({ job }: { readonly job: Job }): ReactElement | null {
  const facts = factsOf(job);
  const note = noteOf(job);
  return (
    <div className="flex flex-1 basis-64 flex-wrap items-baseline gap-x-4 gap-y-1 text-sm text-soft tabular-nums">
      <p className="me-auto">
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
  if (job.state === "cancelling") return "stops at the next safe point";
  if (job.state !== "retrying") return job.message;
  return (
    <>
      Attempt {job.attempt + 1} of {job.max_attempts}, next try{" "}
      {job.retry_at === null ? "any moment" : <Countdown to={job.retry_at} after="any moment" />}
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
  if (job.steps.length === 0 && job.step !== "") facts.push(sentence(job.step));
  if (speed !== undefined && speed > 0) facts.push(`${speed.toFixed(1)}×`);
  if (fps !== undefined && fps > 0) facts.push(`${count(fps)} fps`);
  if (job.processed !== null) {
    const total = job.total === null ? "" : ` of ${count(Math.max(job.total, job.processed))}`;
    facts.push(`${count(job.processed)}${total} ${job.unit}`.trim());
  }
  if (job.state === "running" && job.progress >= 1) facts.push("finishing");
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
  const left = live ? leftAt(job, now) : undefined;
  const usual = live ? usualAt(job, now) : undefined;
  const age = now - Math.max(heard, Date.parse(job.updated_at));
  const parts: ReactNode[] = [];
  if (age > fresh) parts.push(<span className="text-faint">updated {ago(age)}</span>);
  if (usual !== undefined) parts.push(<Usual usual={usual} />);
  if (left === "over") parts.push("longer than expected");
  else if (left !== undefined) parts.push(<span className="text-ink">{rangeLeft(left.low, left.high)}</span>);
  return parts.map((part, i) => (
    <span key={i}>
      {i > 0 && <Dot />}
      {part}
    </span>
  ));
}

function Usual({ usual }: { readonly usual: NonNullable<ReturnType<typeof usualAt>> }): ReactNode {
  if (usual.slow) return <span className="text-warn">slower than 95&nbsp;% of such jobs</span>;
  return <span className="text-faint">usually {range(usual.low, usual.high)}</span>;
}

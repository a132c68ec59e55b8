import type { Job } from "@herald/client";
import { type ReactElement, type ReactNode, useEffect, useRef, useState } from "react";
import { Files } from "../components/files";
import { BackIcon } from "../components/icons";
import { JobView } from "../components/job-view";
import { Link } from "../components/link";
import { Timeline } from "../components/timeline";
import { useDesk, useJob } from "../desk";
import { instant } from "../format";
import { messageOf } from "../live";
import { ShareButton } from "../share/share-button";
import { sourceOf, videoResult } from "../video";

/** One job with all that is known of it. */
export function JobPage({ id }: { readonly id: string }): ReactElement {
  const job = useJob(id);
  const { live, store } = useDesk();
  const [missing, setMissing] = useState("");

  useEffect(() => {
    if (store.job(id) !== undefined) return;
    live.read(id).then(
      () => {
        if (store.job(id) === undefined) setMissing("There is no such job. It may have been deleted.");
      },
      (err: unknown) => {
        setMissing(messageOf(err));
      },
    );
  }, [id, live, store]);

  return (
    <>
      <nav aria-label="Back">
        <Link to="/" className="-ml-1 inline-flex items-center gap-1 rounded px-1 text-sm text-soft hover:text-ink">
          <BackIcon size={14} />
          All jobs
        </Link>
      </nav>
      {job !== undefined && <ShareButton job={job} />}
      {job !== undefined && <JobDetail job={job} />}
      {job === undefined && missing !== "" && <h1 className="py-14 text-center text-soft">{missing}</h1>}
      {job === undefined && missing === "" && (
        <div aria-busy="true" className="h-48 animate-pulse rounded-2xl bg-card ring-1 ring-line">
          <p className="sr-only">Reading the job</p>
        </div>
      )}
    </>
  );
}

function JobDetail({ job }: { readonly job: Job }): ReactElement {
  const heading = useRef<HTMLHeadingElement>(null);
  const [open, setOpen] = useState(true);
  useEffect(() => {
    heading.current?.focus();
  }, []);
  const title = (
    <h1 ref={heading} tabIndex={-1} className="text-lg leading-6 font-semibold break-words outline-none">
      {job.title}
    </h1>
  );
  return (
    <>
      <JobView job={job} heading={title} open={open} onOpen={setOpen} />
      <div className="grid items-start gap-3 md:grid-cols-[1fr_20rem]">
        <Panel title="What happened">
          <Timeline job={job} />
        </Panel>
        <div className="space-y-3">
          <Panel title="Details">
            <Details job={job} />
          </Panel>
          {(videoResult(job)?.artifacts.length ?? 0) > 0 && (
            <Panel title="Files">
              <Files artifacts={videoResult(job)?.artifacts ?? []} />
            </Panel>
          )}
        </div>
      </div>
    </>
  );
}

function Panel({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactElement {
  return (
    <section aria-label={title} className="rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
      <h2 className="mb-3 text-sm font-medium text-soft">{title}</h2>
      {children}
    </section>
  );
}

function Details({ job }: { readonly job: Job }): ReactElement {
  const rows: [string, string][] = [
    ["Source", sourceOf(job)],
    ["Created", instant(job.created_at)],
    ["Started", job.started_at === null ? "" : instant(job.started_at)],
    ["Ended", job.finished_at === null ? "" : instant(job.finished_at)],
    ["Attempt", job.attempt === 0 ? "" : `${String(job.attempt)} of ${String(job.max_attempts)}`],
    ["Worker", job.worker],
    ["Id", job.id],
  ];
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-sm">
      {rows
        .filter(([, value]) => value !== "")
        .map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-soft">{name}</dt>
            <dd className="break-words tabular-nums">{value}</dd>
          </div>
        ))}
    </dl>
  );
}

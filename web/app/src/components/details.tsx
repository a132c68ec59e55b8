import type { Job } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { exportKind, fieldsOf } from "../export";
import { instant } from "../format";
import { sourceOf } from "../video";
import { CopyButton } from "./copy-button";
import { Disclosure } from "./disclosure";
import { Json } from "./json";

/** What stands still about a job. */
export function Details({ job }: { readonly job: Job }): ReactElement {
  const rows: [string, ReactNode][] = [
    ["Source", sourceOf(job)],
    ["Export", exportKind(job)],
    ["Kind", job.kind === "video" || job.kind === "export" ? "" : job.kind],
    ["Runs", job.external ? "elsewhere" : ""],
    ["Owner", job.owner],
    ["Created", instant(job.created_at)],
    ["Started", job.started_at === null ? "" : instant(job.started_at)],
    ["Ended", job.finished_at === null ? "" : instant(job.finished_at)],
    ["Attempt", job.attempt === 0 ? "" : `${String(job.attempt)} of ${String(job.max_attempts)}`],
    ["Worker", job.worker],
    ...Object.entries(job.metadata ?? {}).map(([name, value]): [string, ReactNode] => [name, String(value)]),
  ];
  return (
    <>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-sm">
        {rows
          .filter(([, value]) => value !== "")
          .map(([name, value]) => (
            <div key={name} className="contents">
              <dt className="max-w-28 truncate text-soft">{name}</dt>
              <dd className="min-w-0 break-words tabular-nums">{value}</dd>
            </div>
          ))}
        <dt className="text-soft">Id</dt>
        <dd className="flex min-w-0 items-center gap-1">
          <code className="min-w-0 truncate font-mono text-[0.8125rem]" title={job.id}>
            {job.id}
          </code>
          <span className="-my-1">
            <CopyButton text={job.id} label="Copy the id" />
          </span>
        </dd>
      </dl>
      {Object.keys(fieldsOf(job.args)).length > 0 && (
        <Disclosure label="What it was started with" className="mt-3">
          <div className="mt-2">
            <Json value={job.args} label="What it was started with" />
          </div>
        </Disclosure>
      )}
    </>
  );
}

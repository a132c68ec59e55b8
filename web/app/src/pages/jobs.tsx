import { type ReactElement, useState } from "react";
import { Button } from "../components/button";
import { JobCard } from "../components/job-card";
import { NewJob } from "../components/new-job";
import { UploadList } from "../components/upload-list";
import { useConnection, useDesk, useJobList } from "../desk";
import { messageOf } from "../live";

/** The reader's jobs: what begins, what is under way, what has ended. */
export function JobsPage({ onPresetsAgain }: { readonly onPresetsAgain: () => void }): ReactElement {
  return (
    <>
      <h1 className="sr-only">Jobs</h1>
      <NewJob onPresetsAgain={onPresetsAgain} />
      <UploadList />
      <Jobs />
    </>
  );
}

function Jobs(): ReactElement {
  const { live } = useDesk();
  const { active, ended, status, error, next } = useJobList();
  const none = active.length + ended.length === 0;

  if (none && status === "loading") return <Skeletons />;
  return (
    <>
      {status === "failed" && (
        <p role="alert" className="flex flex-wrap items-center gap-3 rounded-xl bg-bad-tint px-4 py-2.5 text-sm">
          The list of jobs could not be read. {error}
          <Button
            onClick={() => {
              void live.reload();
            }}
          >
            Try again
          </Button>
        </p>
      )}
      {none && status === "ready" && <Empty />}
      {!none && (
        <ul aria-label="Jobs" className="space-y-3">
          {rowsOf(active, ended)}
        </ul>
      )}
      {next !== "" && <Older />}
    </>
  );
}

/**
 * The list with its headings, as one array: a card stays itself, and a video
 * plays on, when its job moves from one part to the other.
 */
function rowsOf(active: readonly string[], ended: readonly string[]): ReactElement[] {
  const card = (id: string) => (
    <li key={id}>
      <JobCard id={id} />
    </li>
  );
  const rows = [...active.map(card), ...ended.map(card)];
  if (ended.length > 0) rows.splice(active.length, 0, <Heading key="ended" text="Ended" />);
  if (active.length > 0) rows.unshift(<Heading key="active" text="Under way" count={active.length} />);
  return rows;
}

function Heading({ text, count }: { readonly text: string; readonly count?: number }): ReactElement {
  return (
    <li className="not-first:pt-5">
      <h2 className="px-1 text-sm font-medium text-soft">
        {text} {count !== undefined && <span className="text-faint tabular-nums">{count}</span>}
      </h2>
    </li>
  );
}

/** Reads the next page of older jobs. */
function Older(): ReactElement {
  const { live } = useDesk();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const load = () => {
    setBusy(true);
    setError("");
    live
      .loadOlder()
      .catch((err: unknown) => {
        setError(messageOf(err));
      })
      .finally(() => {
        setBusy(false);
      });
  };
  return (
    <div className="flex flex-col items-center gap-2">
      <Button onClick={load} why={busy ? "Reading them." : undefined}>
        Show older jobs
      </Button>
      {error !== "" && (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

function Empty(): ReactElement {
  return (
    <div className="px-6 py-14 text-center">
      <p className="text-lg font-medium">Nothing here yet</p>
      <p className="mx-auto mt-1 max-w-sm text-soft">
        Drop a video, or let Herald make one. Its progress shows here as it happens.
      </p>
    </div>
  );
}

function Skeletons(): ReactElement {
  const connection = useConnection();
  return (
    <div aria-busy="true" className="space-y-3">
      <p className="sr-only">{connection === "live" ? "Reading the jobs" : "Connecting"}</p>
      {[1, 2, 3].map((n) => (
        <div key={n} className="animate-pulse rounded-2xl bg-card p-5 ring-1 ring-line">
          <div className="h-4 w-1/3 rounded bg-well" />
          <div className="mt-2.5 h-3 w-1/5 rounded bg-well" />
          <div className="mt-5 h-2.5 rounded-full bg-well" />
        </div>
      ))}
    </div>
  );
}

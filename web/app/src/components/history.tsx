import type { Job } from "@herald/client";
import { type ReactElement, useEffect, useMemo, useSyncExternalStore } from "react";
import { type Chapter, chaptersOf, startsOf } from "../attempts";
import { useDesk } from "../desk";
import { count, sentence } from "../format";
import { JobLog, type JobLogState, mostHeld } from "../joblog";
import { Attempts } from "./attempts";
import { Button } from "./button";
import { useStepTitle } from "./presets";

/** The job's log, read on as long as the page is there, and what it comes to. */
export function useHistory(job: Job): {
  log: JobLog;
  state: JobLogState;
  chapters: readonly Chapter[];
  starts: ReadonlyMap<number, number>;
} {
  const { client, live } = useDesk();
  const { id, kind, attempt, attempt_started_at: began } = job;
  const log = useMemo(() => new JobLog(client, id), [client, id]);
  const state = useSyncExternalStore(log.subscribe, log.state);
  useEffect(() => log.follow((listener) => live.subscribeEvents(id, listener)), [log, live, id]);
  const title = useStepTitle(kind);
  const chapters = useMemo(
    () => chaptersOf(state.events, (step) => title(step) ?? sentence(step)),
    [state.events, title],
  );
  const starts = useMemo(() => startsOf(attempt, began, chapters), [attempt, began, chapters]);
  return { log, state, chapters, starts };
}

interface HistoryProps {
  readonly job: Job;
  readonly log: JobLog;
  readonly state: JobLogState;
  readonly chapters: readonly Chapter[];
}

/** What a job went through, as far as its log has been read. */
export function History({ job, log, state, chapters }: HistoryProps): ReactElement {
  const { status, error, events, more } = state;
  if (status === "loading") return <Skeleton />;
  return (
    <div className="space-y-3">
      {error !== "" && (
        <p role="alert" className="flex flex-wrap items-center gap-3 rounded-lg bg-bad-tint px-3 py-2 text-sm">
          What happened could not be read. {error}
          <Button onClick={log.readOn}>Try again</Button>
        </p>
      )}
      {more && events.length < mostHeld && <Button onClick={log.readBack}>Show what was before</Button>}
      {more && events.length >= mostHeld && (
        <p className="text-sm text-faint">The last {count(events.length)} entries; what was before is in the log.</p>
      )}
      <Attempts job={job} chapters={chapters} />
      {status === "ready" && events.length === 0 && error === "" && (
        <p className="text-sm text-faint">The log no longer has what happened.</p>
      )}
    </div>
  );
}

function Skeleton(): ReactElement {
  return (
    <div aria-busy="true" className="animate-pulse space-y-3">
      <p className="sr-only">Reading the log</p>
      <div className="h-3 w-1/3 rounded bg-well" />
      <div className="h-16 rounded-xl bg-well" />
    </div>
  );
}

import type { Job } from "@herald/client";
import {
  lazy,
  type ReactElement,
  type ReactNode,
  Suspense,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { Details } from "../components/details";
import { Files } from "../components/files";
import { History, useHistory } from "../components/history";
import { BackIcon } from "../components/icons";
import { JobView } from "../components/job-view";
import { Json } from "../components/json";
import { Link } from "../components/link";
import { NoJob } from "../components/no-job";
import { Panel } from "../components/panel";
import { StepTimeline } from "../components/step-timeline";
import { SessionContext, useConnection, useDesk, useJob } from "../desk";
import { exportResult } from "../export";
import { messageOf } from "../live";
import { ShareButton } from "../share/share-button";
import { videoResult } from "../video";
import { useMadeFiles } from "./made-files";

const CurveView = lazy(() => import("../components/curve-view"));
const ExportView = lazy(() => import("../components/export-result"));

/** One job with all that is known of it. */
export function JobPage({ id }: { readonly id: string }): ReactElement {
  const job = useJob(id);
  const { gone, error, again } = useReading(id);
  useFollowing(id, job?.owner);
  return (
    <>
      <nav aria-label="Back">
        <Link to="/" className="-ms-1 inline-flex items-center gap-1 rounded px-1 text-sm text-soft hover:text-ink">
          <BackIcon size={14} />
          All jobs
        </Link>
      </nav>
      {job !== undefined && <ShareButton job={job} />}
      {job === undefined ? <NoJob gone={gone} error={error} onAgain={again} /> : <JobDetail job={job} />}
    </>
  );
}

/** Reads the job unless the stream keeps it true already, and again when there is a connection again. */
function useReading(id: string): { gone: boolean; error: string; again: () => void } {
  const { live, store } = useDesk();
  const connected = useConnection() === "live";
  const [error, setError] = useState("");
  const subscribe = useCallback((changed: () => void) => store.subscribeJob(id, changed), [store, id]);
  const gone = useSyncExternalStore(subscribe, () => store.isGone(id));
  const again = useCallback(() => {
    setError("");
    live.read(id).catch((err: unknown) => {
      setError(messageOf(err));
    });
  }, [live, id]);
  useEffect(() => {
    if (store.job(id) !== undefined && connected) return;
    live.read(id).then(
      () => {
        setError("");
      },
      (err: unknown) => {
        setError(messageOf(err));
      },
    );
  }, [id, live, store, connected]);
  return { gone, error, again };
}

/** Follows a job that is somebody else's, for as long as it is looked at. */
function useFollowing(id: string, owner: string | undefined): void {
  const { live } = useDesk();
  const user = useContext(SessionContext)?.user;
  const others = owner !== undefined && user !== undefined && owner !== user;
  useEffect(() => (others ? live.follow(id) : undefined), [live, id, others]);
}

function JobDetail({ job }: { readonly job: Job }): ReactElement {
  const heading = useRef<HTMLHeadingElement>(null);
  const [open, setOpen] = useState(true);
  useEffect(() => {
    heading.current?.focus();
  }, []);
  const { log, state, chapters, starts } = useHistory(job);
  const title = (
    <h1 ref={heading} tabIndex={-1} dir="auto" className="text-lg leading-6 font-semibold break-words outline-none">
      {job.title}
    </h1>
  );
  return (
    <>
      <JobView
        job={job}
        heading={title}
        open={open}
        onOpen={setOpen}
        full
        steps={<StepTimeline job={job} events={state.events} />}
      />
      <Outcome job={job} />
      <div className="grid items-start gap-5 md:grid-cols-[1fr_18rem]">
        <div className="min-w-0 space-y-5">
          {job.attempt > 0 && (
            <Suspense>
              <CurveView job={job} starts={starts} />
            </Suspense>
          )}
          <Panel title="What happened">
            <History job={job} log={log} state={state} chapters={chapters} />
          </Panel>
        </div>
        <div className="min-w-0 space-y-5">
          <Panel title="Details">
            <Details job={job} />
          </Panel>
          <MadeFiles job={job} />
        </div>
      </div>
    </>
  );
}

/** What a job came to, unless its head shows it already. */
function Outcome({ job }: { readonly job: Job }): ReactNode {
  const exported = useMemo(() => exportResult(job), [job]);
  if (job.state !== "succeeded" || job.artifacts_expired_at !== undefined) return null;
  if (exported !== undefined) {
    return (
      <Panel title="Result">
        <Suspense fallback={<div aria-busy="true" className="h-60 animate-pulse rounded-lg bg-well" />}>
          <ExportView result={exported} />
        </Suspense>
      </Panel>
    );
  }
  if (videoResult(job) !== undefined || isNothing(job.result)) return null;
  return (
    <Panel title="Result">
      <Json value={job.result} label="Result" />
    </Panel>
  );
}

function isNothing(result: unknown): boolean {
  return result === null || result === undefined || (typeof result === "object" && Object.keys(result).length === 0);
}

function MadeFiles({ job }: { readonly job: Job }): ReactElement | null {
  const files = useMadeFiles(job);
  if (files.length === 0) return null;
  return (
    <Panel title="Files">
      <Files artifacts={files} />
    </Panel>
  );
}

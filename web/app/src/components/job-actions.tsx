import type { Job } from "@herald/client";
import { type ReactElement, useContext, useEffect, useState } from "react";
import { isGone, type Means, sourceUpload, whyNotAgain, whyNotRetry } from "../again";
import { useDesk, useMayChange } from "../desk";
import { messageOf } from "../live";
import { navigate } from "../router";
import { hasEnded } from "../store";
import { Button } from "./button";
import { CrossIcon, PlayIcon, RetryIcon, TrashIcon } from "./icons";
import { PresetsContext } from "./presets";

interface JobActionsProps {
  readonly job: Job;
  /** Whether there is room for what is done more rarely: to run it again. */
  readonly full?: boolean;
}

/** What can be done with a job now: cancel, retry, run again, delete; for guests nothing. What cannot be done says why. */
export function JobActions({ job, full = false }: JobActionsProps): ReactElement | null {
  return useDesk().guest === true ? null : <Actions job={job} full={full} />;
}

function Actions({ job, full }: Required<JobActionsProps>): ReactElement {
  const { run, busy, error } = useRun();
  const [asking, setAsking] = useState(false);
  const means = useMeans(job, full);
  const { cancel, retry, again, remove } = useDeeds(job);
  const wait = busy ? "One moment." : undefined;
  const failed = job.state === "failed" || job.state === "cancelled";
  return (
    <div className="ms-auto flex flex-wrap items-center justify-end gap-2">
      {error !== "" && (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
      {!hasEnded(job) && (
        <Action name="Cancel" job={job} why={whyNotCancel(job, means) ?? wait} onClick={() => void run(cancel)}>
          <CrossIcon size={14} />
          {job.state === "cancelling" ? "Stopping" : "Cancel"}
        </Action>
      )}
      {failed && !asking && (
        <Action name="Retry" job={job} why={whyNotRetry(means) ?? wait} onClick={() => void run(retry)}>
          <RetryIcon size={14} />
          Retry
        </Action>
      )}
      {hasEnded(job) && full && !asking && (
        <Action name="Run again" job={job} why={whyNotAgain(job, means) ?? wait} onClick={() => void run(again)}>
          <PlayIcon size={14} />
          Run again
        </Action>
      )}
      {hasEnded(job) && !asking && (
        <Action
          name="Delete"
          look="quiet"
          job={job}
          why={means.mayChange ? wait : "Only its owner can delete it."}
          onClick={() => {
            setAsking(true);
          }}
        >
          <TrashIcon size={14} />
          Delete
        </Action>
      )}
      {asking && (
        <Confirm
          question={job.state === "succeeded" ? "Delete the job and its files?" : "Delete the job?"}
          busy={busy}
          onYes={() => {
            void run(remove).finally(() => {
              setAsking(false);
            });
          }}
          onNo={() => {
            setAsking(false);
          }}
        />
      )}
    </div>
  );
}

/** Does one thing at a time, and tells what went wrong. */
function useRun(): { run: (act: () => Promise<void>) => Promise<void>; busy: boolean; error: string } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = async (act: () => Promise<void>) => {
    setBusy(true);
    setError("");
    try {
      await act();
    } catch (err) {
      setError(messageOf(err));
    } finally {
      setBusy(false);
    }
  };
  return { run, busy, error };
}

/** What the buttons do. A cancel is shown at once; the answer, or the stream, puts it right. */
function useDeeds(job: Job): Record<"cancel" | "retry" | "again" | "remove", () => Promise<void>> {
  const { client, store, clock } = useDesk();
  const { id, kind, title, args } = job;
  return {
    cancel: async () => {
      const asked = new Date(clock.now()).toISOString();
      const settled = store.assume(id, (now) => (hasEnded(now) ? now : stopping(now, asked)));
      try {
        store.put(await client.cancelJob(id));
      } finally {
        settled();
      }
    },
    retry: async () => {
      store.put(await client.retryJob(id));
    },
    again: async () => {
      const started = await client.startJob({ kind, title, args });
      store.put(started);
      navigate(`/jobs/${started.id}`);
    },
    remove: async () => {
      await client.deleteJob(id);
      navigate("/");
      store.remove(id);
    },
  };
}

function stopping(job: Job, asked: string): Job {
  return { ...job, state: "cancelling", cancel_asked_at: job.cancel_asked_at ?? asked };
}

function whyNotCancel(job: Job, { mayChange }: Means): string | undefined {
  if (job.state === "cancelling") return "It is stopping already.";
  return mayChange ? undefined : "Only its owner can cancel it.";
}

/** What can be done; whether the source is still there is only asked where there is room to run it again. */
function useMeans(job: Job, full: boolean): Means {
  const { status, kinds } = useContext(PresetsContext);
  const mayChange = useMayChange(job);
  const [gone, setGone] = useState(false);
  const upload = full && hasEnded(job) ? sourceUpload(job) : undefined;
  useEffect(() => {
    if (upload === undefined) return undefined;
    let current = true;
    isGone(upload).then(
      (gone) => {
        if (current) setGone(gone);
      },
      () => undefined, // the server will say so if it is tried
    );
    return () => {
      current = false;
    };
  }, [upload]);
  return { mayChange, kinds: status === "ready" ? kinds : undefined, sourceGone: gone };
}

interface ActionProps {
  readonly name: string;
  readonly job: Job;
  readonly look?: "plain" | "quiet";
  readonly why: string | undefined;
  readonly onClick: () => void;
  readonly children: React.ReactNode;
}

/** A button whose name says which job it is about. */
function Action({ name, job, look = "plain", why, onClick, children }: ActionProps): ReactElement {
  const { readOnly } = useDesk();
  const blocked = readOnly ?? why;
  return (
    <Button
      look={look}
      why={blocked}
      onClick={onClick}
      aria-label={`${name} ${job.title}`}
      className={look === "quiet" && blocked === undefined ? "-me-3" : ""}
    >
      {children}
    </Button>
  );
}

interface ConfirmProps {
  readonly question: string;
  readonly busy: boolean;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

function Confirm({ question, busy, onYes, onNo }: ConfirmProps): ReactElement {
  return (
    <div
      role="group"
      aria-label={question}
      className="flex flex-wrap items-center gap-2"
      onKeyDown={(event) => {
        if (event.key === "Escape") onNo();
      }}
    >
      <span className="text-sm text-soft">{question}</span>
      <Button look="danger" onClick={onYes} why={busy ? "One moment." : undefined}>
        Delete
      </Button>
      <Button autoFocus onClick={onNo}>
        Keep
      </Button>
    </div>
  );
}

import type { Job } from "@herald/client";
import { type ReactElement, useState } from "react";
import { useDesk } from "../desk";
import { messageOf } from "../live";
import { navigate } from "../router";
import { hasEnded } from "../store";
import { Button } from "./button";
import { CrossIcon, RetryIcon, TrashIcon } from "./icons";

/** What can be done with a job now: cancel, retry, delete; for guests nothing. */
export function JobActions({ job }: { readonly job: Job }): ReactElement | null {
  return useDesk().guest === true ? null : <Actions job={job} />;
}

function Actions({ job }: { readonly job: Job }): ReactElement {
  const { client, store } = useDesk();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [asking, setAsking] = useState(false);

  const run = (act: () => Promise<void>) => {
    setBusy(true);
    setError("");
    act()
      .catch((err: unknown) => {
        setError(messageOf(err));
      })
      .finally(() => {
        setBusy(false);
        setAsking(false);
      });
  };
  const cancel = async () => {
    store.put(await client.cancelJob(job.id));
  };
  const retry = async () => {
    store.put(await client.retryJob(job.id));
  };
  const remove = async () => {
    await client.deleteJob(job.id);
    navigate("/");
    store.remove(job.id);
  };

  return (
    <div className="ml-auto flex flex-wrap items-center justify-end gap-2">
      {error !== "" && (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
      {!hasEnded(job) && (
        <Button
          onClick={() => {
            run(cancel);
          }}
          why={job.state === "cancelling" ? "It is stopping already." : busy ? "Asking it to stop." : undefined}
          aria-label={`Cancel ${job.title}`}
        >
          <CrossIcon size={14} />
          {job.state === "cancelling" ? "Stopping" : "Cancel"}
        </Button>
      )}
      {(job.state === "failed" || job.state === "cancelled") && !asking && (
        <Button
          onClick={() => {
            run(retry);
          }}
          why={busy ? "One moment." : undefined}
          aria-label={`Retry ${job.title}`}
        >
          <RetryIcon size={14} />
          Retry
        </Button>
      )}
      {hasEnded(job) && !asking && (
        <Button
          look="quiet"
          onClick={() => {
            setAsking(true);
          }}
          aria-label={`Delete ${job.title}`}
        >
          <TrashIcon size={14} />
          Delete
        </Button>
      )}
      {asking && (
        <Confirm
          question={job.state === "succeeded" ? "Delete the job and its files?" : "Delete the job?"}
          busy={busy}
          onYes={() => {
            run(remove);
          }}
          onNo={() => {
            setAsking(false);
          }}
        />
      )}
    </div>
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

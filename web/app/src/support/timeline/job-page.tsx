import type { StreamState } from "@herald/client";
import { type ReactElement, useCallback, useState } from "react";
import { Button } from "../../components/button";
import { Link } from "../../components/link";
import { shortTime } from "../../format";
import { save } from "../save";
import { Empty, Failed, Waiting } from "../states";
import { FileError, limits, readFile, type Saved, writeFile } from "./file";
import { JobHead } from "./job-head";
import { TimelineView } from "./timeline-view";
import { useTimeline } from "./use-timeline";

/** A job's page for support: all that ever happened to it, from the log or from a file. */
export function JobPage({ id }: { readonly id: string }): ReactElement {
  const [saved, setSaved] = useState<Saved>();
  const [error, setError] = useState("");
  const open = (file: File) => {
    setError("");
    readChosen(file).then(setSaved, (err: unknown) => {
      setError(err instanceof FileError ? err.message : "The file could not be read.");
    });
  };
  const close = useCallback(() => {
    setSaved(undefined);
  }, []);
  return (
    <>
      {error !== "" && (
        <p role="alert" className="rounded-xl bg-bad-tint px-4 py-2.5 text-sm">
          <span className="font-medium text-bad">The file is not shown.</span> {error}
        </p>
      )}
      {saved === undefined ? (
        <FromLog key={id} id={id} onOpen={open} />
      ) : (
        <FromFile saved={saved} onOpen={open} onClose={close} />
      )}
    </>
  );
}

/** Its size is looked at before it is read. */
async function readChosen(file: File): Promise<Saved> {
  if (file.size > limits.bytes) {
    throw new FileError(`The file is larger than ${String(limits.bytes >> 20)} MiB, which is more than can be shown.`);
  }
  return readFile(await file.text());
}

interface FromLogProps {
  readonly id: string;
  readonly onOpen: (file: File) => void;
}

function FromLog({ id, onOpen }: FromLogProps): ReactElement {
  const { read, following, again } = useTimeline(id);
  const { status, events, error, cut } = read;
  const download = () => {
    save(`job-${id}.json`, "application/json", writeFile(id, events, new Date()));
  };
  const missing = status === "missing" && events.length === 0;
  return (
    <>
      <JobHead id={id} events={events}>
        <FileButton onOpen={onOpen} />
        <Button onClick={download} why={events.length === 0 ? "There is nothing to keep yet." : undefined}>
          Download JSON
        </Button>
      </JobHead>
      {missing && (
        <Empty
          title="The log knows no such job"
          text="It may never have been there, or all that happened to it is older than what the log keeps."
        />
      )}
      {status === "failed" && (
        <Failed title="The timeline could not be read to its end" error={error} onAgain={again} />
      )}
      {status === "reading" && events.length === 0 && <Waiting what="Reading the timeline" />}
      {cut && (
        <p className="rounded-xl bg-warn-tint px-4 py-2.5 text-sm text-warn">
          These are the first events of a very long timeline. All of it is in an export of the log.
        </p>
      )}
      {events.length > 0 && (
        <TimelineView
          events={events}
          saved={false}
          status={status === "reading" ? "Reading on" : followed(following)}
        />
      )}
    </>
  );
}

function followed(state: StreamState): string {
  return state === "live" ? "Follows as it goes" : "Not following: no connection";
}

interface FromFileProps {
  readonly saved: Saved;
  readonly onOpen: (file: File) => void;
  readonly onClose: () => void;
}

function FromFile({ saved, onOpen, onClose }: FromFileProps): ReactElement {
  return (
    <>
      <p role="status" className="flex flex-wrap items-center gap-3 rounded-xl bg-tint px-4 py-2.5 text-sm">
        <span className="me-auto">
          From a file of {shortTime(saved.saved_at)}. Nothing of it comes from the server now.
        </span>
        <Button onClick={onClose}>Close the file</Button>
      </p>
      <JobHead id={saved.job} events={saved.events}>
        <FileButton onOpen={onOpen} />
      </JobHead>
      {saved.events.length === 0 ? (
        <Empty title="The file has no events" text={<Link to="/support">Search the log</Link>} />
      ) : (
        <TimelineView events={saved.events} saved status="From a file" />
      )}
    </>
  );
}

function FileButton({ onOpen }: { readonly onOpen: (file: File) => void }): ReactElement {
  return (
    <label className="inline-flex h-8 cursor-pointer items-center rounded-lg bg-card px-3 text-sm font-medium ring-1 ring-edge ring-inset hover:bg-well has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent">
      Open a file
      <input
        type="file"
        accept="application/json,.json"
        className="sr-only"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          event.target.value = "";
          if (file !== undefined) onOpen(file);
        }}
      />
    </label>
  );
}

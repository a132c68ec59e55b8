import { memo, type ReactElement, useState, useSyncExternalStore } from "react";
import { Button } from "../components/button";
import { clockTime } from "../format";
import type { Frame } from "./frames";
import { listed } from "./message";
import { Code, Copy, Panel, TextField } from "./parts";
import { mostFrames, type RawStream, type RawView, streamPath } from "./raw-stream";

/** What a connection is to ask for, as it is typed. */
export interface StreamForm {
  readonly topics: string;
  readonly types: string;
  readonly metadata: string;
  readonly cursor: string;
}

export const emptyStreamForm: StreamForm = { topics: "", types: "", metadata: "", cursor: "" };

interface StreamProps {
  readonly stream: RawStream;
  readonly form: StreamForm;
  readonly onForm: (form: StreamForm) => void;
}

/** One connection, frame by frame, as it comes over the network. */
export function Stream({ stream, form, onForm }: StreamProps): ReactElement {
  const view = useSyncExternalStore(stream.subscribe, stream.view);
  const [wrong, setWrong] = useState("");
  const question = {
    topics: listed(form.topics),
    types: listed(form.types),
    metadata: listed(form.metadata),
    cursor: form.cursor.trim(),
  };
  const set = (change: Partial<StreamForm>) => {
    onForm({ ...form, ...change });
  };
  const open = (cursor: string) => {
    const bad = question.metadata.find((pair) => !/^[^=]+=/.test(pair));
    setWrong(bad === undefined ? "" : `Write metadata as KEY=VALUE, not ${bad}.`);
    if (bad === undefined) stream.open({ ...question, cursor });
  };
  const path = streamPath(question);
  const header = question.cursor === "" ? "" : ` -H 'Last-Event-ID: ${question.cursor}'`;
  return (
    <div className="space-y-5">
      <Panel title="What to ask for" action={<Status view={view} />}>
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Topics, with commas between them"
            hint="your own, and all"
            value={form.topics}
            onChange={(topics) => {
              set({ topics });
            }}
          />
          <TextField
            label="Types"
            hint="job.*, notification.payment"
            value={form.types}
            onChange={(types) => {
              set({ types });
            }}
          />
          <TextField
            label="Metadata"
            hint="team=red"
            value={form.metadata}
            onChange={(metadata) => {
              set({ metadata });
            }}
            error={wrong}
          />
          <TextField
            label="Cursor: the last id seen"
            hint="none: from now on, with a snapshot"
            inputMode="numeric"
            value={form.cursor}
            onChange={(cursor) => {
              set({ cursor });
            }}
          />
        </div>
        <div className="mt-4 flex flex-wrap gap-2">
          <Button
            look="primary"
            onClick={() => {
              open(question.cursor);
            }}
          >
            {view.status === "closed" ? "Connect" : "Connect anew"}
          </Button>
          <Button
            why={view.lastId === "" ? "Nothing with an id has come yet." : undefined}
            onClick={() => {
              set({ cursor: view.lastId });
              open(view.lastId);
            }}
          >
            Go on from {view.lastId === "" ? "the last id" : view.lastId}
          </Button>
          <Button
            why={view.status === "closed" ? "There is no connection." : undefined}
            onClick={() => {
              stream.close();
            }}
          >
            Disconnect
          </Button>
        </div>
        <div className="mt-4">
          <Code
            label="The same with curl"
            text={`curl -N -H "Authorization: Bearer $TOKEN"${header} '${location.origin}${path}'`}
          />
        </div>
      </Panel>
      <Frames stream={stream} view={view} />
    </div>
  );
}

const words: Readonly<Record<RawView["status"], string>> = {
  closed: "Not connected",
  connecting: "Connecting",
  open: "Connected",
};
const dots: Readonly<Record<RawView["status"], string>> = {
  closed: "bg-edge",
  connecting: "bg-faint animate-pulse-dot",
  open: "bg-accent",
};

function Status({ view }: { readonly view: RawView }): ReactElement {
  return (
    <p role="status" data-stream={view.status} className="inline-flex items-center gap-2 text-sm text-soft">
      <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${dots[view.status]}`} />
      <span>
        {words[view.status]}
        {view.why !== "" && <span className="text-bad">. {view.why}</span>}
      </span>
    </p>
  );
}

function Frames({ stream, view }: { readonly stream: RawStream; readonly view: RawView }): ReactElement {
  const paused = view.paused !== undefined;
  const asText = () =>
    [...view.frames]
      .reverse()
      .map((frame) => `${frame.lines.join("\n")}\n\n`)
      .join("");
  return (
    <Panel
      title="What comes, the newest first"
      action={
        <div className="flex flex-wrap gap-2">
          <Button
            aria-pressed={paused}
            onClick={() => {
              stream.pause(!paused);
            }}
          >
            {paused ? `Go on (${String(view.paused)} held)` : "Pause"}
          </Button>
          <Button
            onClick={() => {
              stream.clear();
            }}
          >
            Clear
          </Button>
          <Copy text={asText} what="all frames" />
        </div>
      }
    >
      {view.frames.length === 0 ? (
        <p className="text-sm text-soft">
          Nothing yet. When a connection is quiet, a heartbeat comes every few seconds: a line that is a colon.
        </p>
      ) : (
        <ol
          tabIndex={0}
          aria-label="Frames"
          className="-mx-1 max-h-[36rem] divide-y divide-line overflow-y-auto px-1 font-mono text-[0.8125rem] leading-5"
        >
          {view.frames.map((frame) => (
            <FrameView key={frame.n} frame={frame} />
          ))}
        </ol>
      )}
      {view.dropped > 0 && (
        <p className="mt-3 text-sm text-soft">
          {view.dropped} older frames were let go of: {mostFrames} are kept at most.
        </p>
      )}
    </Panel>
  );
}

/** So much of a line is shown. */
const longestLine = 4000;

const FrameView = memo(function FrameView({ frame }: { readonly frame: Frame }): ReactElement {
  return (
    <li className="grid grid-cols-[auto_1fr] gap-x-3 py-2">
      <span className="text-faint tabular-nums" title={`Frame ${String(frame.n)}`}>
        {clockTime(new Date(frame.at).toISOString())}
      </span>
      <div className="min-w-0">
        {frame.lines.map((line, i) => (
          <Line key={i} line={line} />
        ))}
      </div>
    </li>
  );
});

function Line({ line }: { readonly line: string }): ReactElement {
  const [name = "", ...rest] = line.split(":");
  const cut = line.length - longestLine;
  const value = rest.join(":").slice(0, longestLine);
  const tone = name === "event" ? "font-medium text-accent" : name === "data" ? "text-ink" : "text-soft";
  return (
    <p className="break-words [overflow-wrap:anywhere]">
      <span className="text-faint">{line.includes(":") ? `${name}:` : name}</span>
      <span className={tone}>{value}</span>
      {cut > 0 && <span className="text-faint"> … and {cut} more</span>}
    </p>
  );
}

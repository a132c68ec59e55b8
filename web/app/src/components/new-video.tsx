import { type ReactElement, useContext, useRef, useState } from "react";
import { useDesk } from "../desk";
import { bytes } from "../format";
import { messageOf } from "../live";
import { argsOf, untouched, type Wrong } from "../options";
import type { VideoArgs } from "../video";
import { Button } from "./button";
import { Choice } from "./choice";
import { DropOverlay } from "./drop-overlay";
import { FilmIcon, UploadIcon } from "./icons";
import { PresetsContext, useChosenPreset } from "./presets";
import { VideoOptions } from "./video-options";

/** Where videos begin: a preset and its options, then files or a test video. */
export function NewVideo({ onPresetsAgain }: { readonly onPresetsAgain: () => void }): ReactElement {
  const { uploads } = useDesk();
  const { status, error: loadError, presets, maxUploadBytes } = useContext(PresetsContext);
  const [preset, choosePreset] = useChosenPreset(presets);
  const [form, setForm] = useState(untouched);
  const chosen = presets.find((p) => p.name === preset);
  const args = argsOf(chosen, preset, form);
  const add = (files: Iterable<File>) => {
    if (!("error" in args)) uploads.add(files, args, maxUploadBytes);
  };

  return (
    <>
      {status === "failed" ? (
        <p role="alert" className="flex flex-wrap items-center gap-3 text-sm text-bad">
          The choice of formats could not be read. {loadError}
          <Button onClick={onPresetsAgain}>Try again</Button>
        </p>
      ) : (
        <div className="flex min-h-7 flex-wrap items-center gap-x-3 gap-y-2">
          <Choice
            legend="Convert to"
            hideLegend
            value={preset}
            onChange={choosePreset}
            options={presets.map((p) => ({ value: p.name, label: p.title }))}
          />
          <p className="text-sm text-soft">{chosen?.description}</p>
        </div>
      )}
      <VideoOptions preset={chosen} form={form} onChange={setForm} wrong={"error" in args ? args : undefined} />
      <div className="mt-4 grid gap-4 md:grid-cols-[1fr_auto]">
        <DropZone limit={maxUploadBytes} onFiles={add} />
        <TestVideo args={args} />
      </div>
      <DropOverlay what={chosen?.title ?? ""} onFiles={add} />
    </>
  );
}

interface DropZoneProps {
  readonly limit: number;
  readonly onFiles: (files: Iterable<File>) => void;
}

/** Opens the file dialogue; drops are taken by the whole page. */
function DropZone({ limit, onFiles }: DropZoneProps): ReactElement {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div className="relative">
      <button
        type="button"
        onClick={() => input.current?.click()}
        className="flex size-full min-h-36 flex-col items-center justify-center gap-1 rounded-xl border border-dashed border-edge px-4 py-6 text-center transition-colors hover:border-accent hover:bg-tint"
      >
        <span className="mb-1 text-accent">
          <UploadIcon size={22} />
        </span>
        <span className="font-medium">
          Drop or paste videos anywhere, or{" "}
          <span className="text-accent underline underline-offset-2">choose files</span>
        </span>
        <span className="text-sm text-soft">
          {Number.isFinite(limit) && `Up to ${bytes(limit)} each. `}Converting begins when the upload ends.
        </span>
      </button>
      <input
        ref={input}
        type="file"
        multiple
        accept="video/*,audio/*"
        tabIndex={-1}
        aria-label="Video files"
        className="sr-only"
        onChange={(event) => {
          onFiles(event.target.files ?? []);
          event.target.value = "";
        }}
      />
    </div>
  );
}

const lengths = [
  { value: "5", label: "5 s" },
  { value: "20", label: "20 s" },
  { value: "60", label: "1 min" },
  { value: "300", label: "5 min" },
] as const;

/** Starts a job on a video that the server makes, for those who have none at hand. */
function TestVideo({ args }: { readonly args: VideoArgs | Wrong }): ReactElement {
  const { client, store } = useDesk();
  const [seconds, setSeconds] = useState<(typeof lengths)[number]["value"]>("20");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");

  const start = async () => {
    if ("error" in args) return;
    setBusy(true);
    setError("");
    try {
      const length = lengths.find((l) => l.value === seconds)?.label ?? "";
      const source = { test: { seconds: Number(seconds) } };
      store.put(await client.startJob({ kind: "video", title: `Test video, ${length}`, args: { source, ...args } }));
    } catch (err) {
      setError(messageOf(err));
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className="flex flex-col justify-center gap-3 rounded-xl bg-page p-4 md:w-64">
      <div>
        <h2 className="text-sm font-medium">No video at hand?</h2>
        <p className="text-sm text-soft">Herald makes one to try it with.</p>
      </div>
      <Choice
        legend="Length of the test video"
        hideLegend
        fill
        options={lengths}
        value={seconds}
        onChange={setSeconds}
      />
      <Button
        look="primary"
        onClick={() => {
          void start();
        }}
        why={busy ? "Starting it." : "error" in args ? args.error : undefined}
        className="w-full"
      >
        <FilmIcon />
        Make a test video
      </Button>
      {error !== "" && (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

import { type ReactElement, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useDesk } from "../desk";
import { bytes, percent, timeLeft } from "../format";
import { keptSize } from "../kept-files";
import { isUnderWay, type Upload } from "../uploads";
import { Bar } from "./bar";
import { Button } from "./button";
import { CrossIcon, RetryIcon, UploadIcon } from "./icons";
import { Dot } from "./job-facts";
import { usePresetTitle } from "./presets";

/** The files on their way. When the page could not take one up by itself again, the browser asks before it is left. */
export function UploadList(): ReactElement | null {
  const { uploads } = useDesk();
  const items = useSyncExternalStore(uploads.subscribe, uploads.items);
  const sending = items.some(isUnderWay);

  useEffect(() => {
    if (!sending) return undefined;
    const ask = (event: BeforeUnloadEvent) => {
      if (uploads.wouldBeMissed(keptSize)) event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => {
      window.removeEventListener("beforeunload", ask);
    };
  }, [sending, uploads]);

  if (items.length === 0) return null;
  return (
    <section aria-label="Uploads">
      <h2 className="mb-2.5 px-1 text-sm font-medium text-soft">
        Uploads {items.length > 1 && <span className="text-faint tabular-nums">{items.length}</span>}
      </h2>
      <ul className="divide-y divide-line rounded-2xl bg-card ring-1 ring-line">
        {items.map((upload) => (
          <li key={upload.id} className="p-4 sm:px-5">
            <UploadRow upload={upload} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function UploadRow({ upload }: { readonly upload: Upload }): ReactElement {
  const { uploads } = useDesk();
  const preset = usePresetTitle(upload.args.preset);
  const { name, size, state } = upload;
  const underWay = isUnderWay(upload);
  const share = size > 0 ? upload.loaded / size : 0;
  const moves = state === "uploading" || state === "paused";
  return (
    <div className="space-y-2.5" data-upload={state}>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <p className="min-w-32 flex-1 truncate font-medium">
          {name}
          <span className="font-normal text-soft">
            <Dot />
            {preset}
          </span>
        </p>
        {moves && <p className="font-semibold tabular-nums">{percent(share)}</p>}
        {state === "failed" && (
          <Button
            onClick={() => {
              uploads.retry(upload.id);
            }}
            aria-label={`Upload ${name} again`}
          >
            <RetryIcon size={14} />
            Try again
          </Button>
        )}
        <Button
          look={underWay ? "plain" : "quiet"}
          onClick={() => {
            uploads.cancel(upload.id);
          }}
          aria-label={`${underWay ? "Cancel the upload of" : "Dismiss"} ${name}`}
          className={underWay ? "" : "-me-3"}
        >
          <CrossIcon size={14} />
          {underWay ? "Cancel" : "Dismiss"}
        </Button>
      </div>
      {(underWay || state === "lost") && (
        <Bar share={moves || state === "lost" ? share : undefined} label={`Upload of ${name}`} />
      )}
      <UploadFacts upload={upload} />
    </div>
  );
}

function UploadFacts({ upload }: { readonly upload: Upload }): ReactElement {
  const { size, state, loaded, speed, error } = upload;
  switch (state) {
    case "failed":
    case "refused":
      return (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      );
    case "lost":
      return <ChooseAgain upload={upload} />;
    case "waiting":
      return <p className="text-sm text-soft">Waits for its turn.</p>;
    case "paused":
      return (
        <p className="text-sm text-warn">
          {error} {bytes(loaded)} of {bytes(size)} are there; it goes on by itself.
        </p>
      );
    case "starting":
      return <p className="text-sm text-soft">Starting the job.</p>;
    case "uploading":
      return (
        <p className="flex flex-wrap justify-between gap-x-4 text-sm text-soft tabular-nums">
          <span>
            {bytes(loaded)} of {bytes(size)}
            {speed > 0 && (
              <>
                <Dot />
                {bytes(speed)}/s
              </>
            )}
          </span>
          {speed > 0 && <span className="text-ink">{timeLeft(((size - loaded) / speed) * 1000)}</span>}
        </p>
      );
  }
}

/** After the page was loaded anew, a large file has to be shown to it again. */
function ChooseAgain({ upload }: { readonly upload: Upload }): ReactElement {
  const { uploads } = useDesk();
  const input = useRef<HTMLInputElement>(null);
  const [wrong, setWrong] = useState("");
  return (
    <div className="flex flex-wrap items-center justify-between gap-3 text-sm">
      <p className="text-soft">
        {bytes(upload.loaded)} of {bytes(upload.size)} are there. Choose or drop the file again, and it goes on from
        there.
      </p>
      <Button onClick={() => input.current?.click()} aria-label={`Choose ${upload.name} again`}>
        <UploadIcon size={14} />
        Choose the file
      </Button>
      <input
        ref={input}
        type="file"
        tabIndex={-1}
        aria-label={`The file ${upload.name}`}
        className="sr-only"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file === undefined) return;
          const taken = uploads.giveBack(upload.id, file);
          setWrong(taken ? "" : `${file.name} is another file. Choose ${upload.name} of ${bytes(upload.size)}.`);
        }}
      />
      {wrong !== "" && (
        <p role="alert" className="w-full text-bad">
          {wrong}
        </p>
      )}
    </div>
  );
}

import { type ReactElement, useEffect, useSyncExternalStore } from "react";
import { useDesk } from "../desk";
import { bytes, percent, timeLeft } from "../format";
import { isUnderWay, type Upload } from "../uploads";
import { Bar } from "./bar";
import { Button } from "./button";
import { CrossIcon, RetryIcon } from "./icons";
import { Dot } from "./job-facts";
import { usePresetTitle } from "./presets";

/** The files on their way. Leaving the page would stop them, so the browser asks first. */
export function UploadList(): ReactElement | null {
  const { uploads } = useDesk();
  const items = useSyncExternalStore(uploads.subscribe, uploads.items);
  const sending = items.some(isUnderWay);

  useEffect(() => {
    if (!sending) return undefined;
    const ask = (event: BeforeUnloadEvent) => {
      event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => {
      window.removeEventListener("beforeunload", ask);
    };
  }, [sending]);

  if (items.length === 0) return null;
  return (
    <section aria-label="Uploads">
      <h2 className="mb-2.5 px-1 text-sm font-medium text-soft">Uploads</h2>
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
  const { file, state } = upload;
  const underWay = isUnderWay(upload);
  const share = file.size > 0 ? upload.loaded / file.size : 0;
  return (
    <div className="space-y-2.5">
      <div className="flex items-center gap-3">
        <p className="min-w-0 flex-1 truncate font-medium">
          {file.name}
          <span className="font-normal text-soft">
            <Dot />
            {preset}
          </span>
        </p>
        {state === "uploading" && <p className="font-semibold tabular-nums">{percent(share)}</p>}
        {state === "failed" && (
          <Button
            onClick={() => {
              uploads.retry(upload.id);
            }}
            aria-label={`Upload ${file.name} again`}
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
          aria-label={`${underWay ? "Cancel the upload of" : "Dismiss"} ${file.name}`}
        >
          <CrossIcon size={14} />
          {underWay ? "Cancel" : "Dismiss"}
        </Button>
      </div>
      {underWay && <Bar share={state === "uploading" ? share : undefined} label={`Upload of ${file.name}`} />}
      <UploadFacts upload={upload} />
    </div>
  );
}

function UploadFacts({ upload }: { readonly upload: Upload }): ReactElement {
  const { file, state, loaded, speed } = upload;
  switch (state) {
    case "failed":
    case "refused":
      return (
        <p role="alert" className="text-sm text-bad">
          {upload.error}
        </p>
      );
    case "waiting":
      return <p className="text-sm text-soft">Waits for its turn.</p>;
    case "starting":
      return <p className="text-sm text-soft">Starting the job.</p>;
    case "uploading":
      return (
        <p className="flex flex-wrap justify-between gap-x-4 text-sm text-soft tabular-nums">
          <span>
            {bytes(loaded)} of {bytes(file.size)}
            {speed > 0 && (
              <>
                <Dot />
                {bytes(speed)}/s
              </>
            )}
          </span>
          {speed > 0 && <span className="text-ink">{timeLeft(((file.size - loaded) / speed) * 1000)}</span>}
        </p>
      );
  }
}

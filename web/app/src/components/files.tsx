import type { Artifact } from "@herald/client";
import type { ReactElement } from "react";
import { bytes, sentence } from "../format";
import { DownloadIcon } from "./icons";

/** What a job has made, to download. */
export function Files({ artifacts }: { readonly artifacts: readonly Artifact[] }): ReactElement {
  return (
    <ul className="-my-1 text-sm">
      {artifacts.map((a) => (
        <li key={a.id} className="flex items-center gap-3 py-1.5">
          <div className="min-w-0 flex-1">
            <p className="truncate" title={a.name}>
              {a.name}
            </p>
            <p className="text-faint tabular-nums">
              {a.kind === "hls" ? "HLS" : sentence(a.kind)}, {bytes(a.size)}
            </p>
          </div>
          {a.kind !== "hls" && (
            <a
              href={`${a.url}?download=1`}
              download={a.name}
              aria-label={`Download ${a.name}`}
              className="grid size-8 place-items-center rounded-lg text-soft hover:bg-well hover:text-ink"
            >
              <DownloadIcon />
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

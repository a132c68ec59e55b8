import type { Artifact, Job } from "@herald/client";
import { type ReactElement, useState } from "react";
import { bytes, position } from "../format";
import { spriteOf, type VideoResult } from "../video";
import { linkLook } from "./button";
import { DownloadIcon, PlayIcon } from "./icons";
import { Player } from "./player";
import { shareAt, tileAt, tileStyle } from "./strip";

const played = ["video", "hls", "audio", "image"];

/** The artifact that is played: the video, the sound, or the moving picture. */
export function mediaOf(result: VideoResult): Artifact | undefined {
  return result.artifacts.find((a) => played.includes(a.kind));
}

interface ResultProps {
  readonly job: Job;
  readonly result: VideoResult;
  readonly media: Artifact;
}

/** What a finished video job has made, played in place. */
export function Result({ job, result, media }: ResultProps): ReactElement {
  return (
    <Player
      title={job.title}
      media={media}
      poster={posterOf(result)}
      sprite={spriteOf(result.artifacts)}
      durationMs={result.durationMs}
      aspect={result.height > 0 ? result.width / result.height : 16 / 9}
    />
  );
}

interface ResultPosterProps {
  readonly job: Job;
  readonly result: VideoResult;
  readonly onPlay: () => void;
}

/** The first look at a video: its poster, which opens the player. The pointer leafs through the video. */
export function ResultPoster({ job, result, onPlay }: ResultPosterProps): ReactElement {
  const poster = posterOf(result);
  const sprite = spriteOf(result.artifacts);
  const [at, setAt] = useState<number>();
  return (
    <button
      type="button"
      onClick={onPlay}
      onMouseMove={(event) => {
        setAt(shareAt(event));
      }}
      onMouseLeave={() => {
        setAt(undefined);
      }}
      aria-label={`Play ${job.title}`}
      className="group relative aspect-video w-full shrink-0 self-start overflow-hidden rounded-lg bg-well sm:w-48"
    >
      {poster !== undefined && <img src={poster} alt="" loading="lazy" className="size-full object-contain" />}
      {sprite !== undefined && at !== undefined && (
        <span aria-hidden="true" className="absolute inset-0 flex justify-center bg-well">
          <span className="h-full max-w-full" style={tileStyle(sprite, tileAt(sprite, at))} />
          <span className="absolute bottom-0 start-0 h-0.5 bg-accent" style={{ width: `${String(at * 100)}%` }} />
        </span>
      )}
      <span className="absolute inset-0 grid place-items-center">
        <span className="grid size-11 place-items-center rounded-full bg-black/60 text-white transition-transform group-hover:scale-110">
          <PlayIcon size={20} />
        </span>
      </span>
      <span className="absolute end-1.5 bottom-1.5 rounded bg-black/75 px-1.5 text-xs leading-5 text-white tabular-nums">
        {position((at ?? 1) * result.durationMs)}
      </span>
    </button>
  );
}

/** A link that saves an artifact as a file; HLS is many files, so its link is the playlist's address. */
export function Download({ artifact }: { readonly artifact: Artifact }): ReactElement {
  const playlist = artifact.kind === "hls";
  return (
    <a
      href={playlist ? artifact.url : `${artifact.url}?download=1`}
      {...(playlist ? {} : { download: artifact.name })}
      className={`${linkLook} max-sm:grow`}
    >
      {!playlist && <DownloadIcon size={14} />}
      {playlist ? "Playlist" : "Download"}
      <span className="font-normal text-soft tabular-nums">{bytes(artifact.size)}</span>
    </a>
  );
}

function posterOf(result: VideoResult): string | undefined {
  return result.artifacts.find((a) => a.kind === "poster")?.url;
}

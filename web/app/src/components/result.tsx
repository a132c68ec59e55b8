import type { Artifact, Job } from "@herald/client";
import type { ReactElement } from "react";
import { bytes, position } from "../format";
import { spriteOf, type VideoResult } from "../video";
import { linkLook } from "./button";
import { DownloadIcon, PlayIcon } from "./icons";
import { Player } from "./player";

/** The artifact that is played: the video, or the sound. */
export function mediaOf(result: VideoResult): Artifact | undefined {
  return result.artifacts.find((a) => a.kind === "video" || a.kind === "hls" || a.kind === "audio");
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

/** The first look at a video: its poster, which opens the player. */
export function ResultPoster({ job, result, onPlay }: ResultPosterProps): ReactElement {
  const poster = posterOf(result);
  return (
    <button
      type="button"
      onClick={onPlay}
      aria-label={`Play ${job.title}`}
      className="group relative aspect-video w-full shrink-0 self-start overflow-hidden rounded-lg bg-well sm:w-48"
    >
      {poster !== undefined && <img src={poster} alt="" loading="lazy" className="size-full object-contain" />}
      <span className="absolute inset-0 grid place-items-center">
        <span className="grid size-11 place-items-center rounded-full bg-black/60 text-white transition-transform group-hover:scale-110">
          <PlayIcon size={20} />
        </span>
      </span>
      <span className="absolute right-1.5 bottom-1.5 rounded bg-black/75 px-1.5 text-xs leading-5 text-white tabular-nums">
        {position(result.durationMs)}
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
      className={linkLook}
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

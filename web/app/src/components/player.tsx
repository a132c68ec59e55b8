import type { Artifact } from "@herald/client";
import type Hls from "hls.js";
import { type ReactElement, useEffect, useRef, useState } from "react";
import type { Sprite } from "../video";
import { Strip } from "./strip";

interface PlayerProps {
  readonly title: string;
  readonly media: Artifact;
  readonly poster: string | undefined;
  readonly sprite: Sprite | undefined;
  readonly durationMs: number;
  /** Width by height. */
  readonly aspect: number;
}

/** Plays a job's result in place. */
export function Player({ title, media, poster, sprite, durationMs, aspect }: PlayerProps): ReactElement {
  const video = useRef<HTMLVideoElement>(null);
  const [error, setError] = useState("");
  const { kind, url } = media;
  useEffect(() => (video.current === null ? undefined : attach(video.current, kind, url, setError)), [kind, url]);
  const seek = (ms: number) => {
    if (video.current !== null) video.current.currentTime = ms / 1000;
  };

  if (kind === "image") {
    return <img src={url} alt={title} className="mx-auto max-h-[70vh] rounded-lg" />;
  }
  if (kind === "audio") {
    return <audio controls preload="metadata" src={url} aria-label={title} className="w-full" />;
  }
  return (
    <figure className="space-y-1.5">
      <video
        ref={video}
        controls
        playsInline
        preload="metadata"
        poster={poster}
        aria-label={title}
        className="mx-auto max-h-[70vh] w-full rounded-lg bg-black"
        style={{ aspectRatio: aspect }}
      />
      {error !== "" && (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
      {sprite !== undefined && durationMs > 0 && <Strip sprite={sprite} durationMs={durationMs} onSeek={seek} />}
    </figure>
  );
}

const playlist = "application/vnd.apple.mpegurl";

/** Gives the element its source; a playlist goes through hls.js where the browser cannot play it itself. */
function attach(element: HTMLVideoElement, kind: string, url: string, onError: (message: string) => void): () => void {
  if (kind === "hls" && element.canPlayType(playlist) === "") return attachHls(element, url, onError);
  element.src = url;
  return () => {
    element.removeAttribute("src");
    element.load();
  };
}

function attachHls(element: HTMLVideoElement, url: string, onError: (message: string) => void): () => void {
  let hls: Hls | undefined;
  let wanted = true;
  import("hls.js/light").then(
    ({ default: Engine }) => {
      if (!wanted) return;
      if (!Engine.isSupported()) {
        onError("This browser cannot play HLS.");
        return;
      }
      hls = new Engine();
      hls.on(Engine.Events.ERROR, (_, data) => {
        if (data.fatal) onError("The video cannot be played.");
      });
      hls.loadSource(url);
      hls.attachMedia(element);
    },
    () => {
      onError("The player cannot be loaded.");
    },
  );
  return () => {
    wanted = false;
    hls?.destroy();
  };
}

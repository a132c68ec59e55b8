import type { Artifact, HeraldClient, Job } from "@herald/client";
import { bytes } from "./format";
import { messageOf } from "./live";
import type { VideoArgs } from "./video";

/** A file on its way to the server. */
export interface Upload {
  readonly id: number;
  readonly file: File;
  /** What is to become of it. */
  readonly args: VideoArgs;
  readonly state: "waiting" | "uploading" | "starting" | "failed" | "refused";
  readonly loaded: number;
  /** Bytes a second over the last few seconds; 0 while it is not known. */
  readonly speed: number;
  readonly error: string;
}

/** Whether the upload still goes on by itself. */
export function isUnderWay(upload: Upload): boolean {
  return upload.state !== "failed" && upload.state !== "refused";
}

/** The calls that turn a file into a job. */
export type Uploader = Pick<HeraldClient, "upload" | "startJob">;

const atOnce = 2;
const speedWindow = 4000;

/**
 * Uploads sends files, a few at a time, and starts each one's job as soon as
 * the file is there. A started job is handed to `onJob`, and its upload is
 * forgotten. A failed one stays until it is tried again or dismissed, a refused
 * one until it is dismissed.
 */
export class Uploads {
  readonly #api: Uploader;
  readonly #onJob: (job: Job) => void;
  #items: readonly Upload[] = [];
  #lastId = 0;
  readonly #aborts = new Map<number, AbortController>();
  /** What is uploaded already, so that trying again does not send it twice. */
  readonly #artifacts = new Map<number, Artifact>();
  readonly #listeners = new Set<() => void>();

  constructor(api: Uploader, onJob: (job: Job) => void) {
    this.#api = api;
    this.#onJob = onJob;
  }

  /** All uploads in the order of their adding; a new array with each change. */
  readonly items = (): readonly Upload[] => this.#items;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Adds files; one above the limit is refused here, before it is sent. */
  add(files: Iterable<File>, args: VideoArgs, limit: number): void {
    const added = Array.from(files, (file): Upload => {
      const error =
        file.size > limit
          ? `The file has ${bytes(file.size)}; the limit is ${bytes(limit)}.`
          : file.size === 0
            ? "The file is empty."
            : "";
      return {
        id: ++this.#lastId,
        file,
        args,
        state: error === "" ? "waiting" : "refused",
        loaded: 0,
        speed: 0,
        error,
      };
    });
    this.#set([...this.#items, ...added]);
    this.#startNext();
  }

  /** Stops an upload, or dismisses one that came to nothing. */
  cancel(id: number): void {
    this.#aborts.get(id)?.abort();
    this.#forget(id);
  }

  /** Tries a failed upload again. */
  retry(id: number): void {
    this.#update(id, { state: "waiting", loaded: 0, speed: 0, error: "" });
    this.#startNext();
  }

  /** Stops all of them. */
  close(): void {
    for (const item of this.#items) this.cancel(item.id);
  }

  #startNext(): void {
    for (const item of this.#items) {
      if (this.#aborts.size >= atOnce) return;
      if (item.state === "waiting") void this.#send(item);
    }
  }

  async #send({ id, file, args }: Upload): Promise<void> {
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    try {
      const artifact = this.#artifacts.get(id) ?? (await this.#upload(id, file, abort.signal));
      this.#artifacts.set(id, artifact);
      this.#update(id, { state: "starting", loaded: file.size, speed: 0 });
      const job = await this.#api.startJob({
        kind: "video",
        title: file.name,
        args: { source: { upload: artifact.id }, ...args },
      });
      this.#onJob(job);
      this.#forget(id);
    } catch (err) {
      this.#update(id, { state: "failed", error: messageOf(err) });
    } finally {
      this.#aborts.delete(id);
      this.#startNext();
    }
  }

  #upload(id: number, file: File, signal: AbortSignal): Promise<Artifact> {
    this.#update(id, { state: "uploading" });
    const samples: { at: number; loaded: number }[] = [];
    return this.#api.upload(file, {
      signal,
      onProgress: ({ loaded }) => {
        const at = performance.now();
        samples.push({ at, loaded });
        while (samples.length > 2 && at - (samples[0]?.at ?? at) > speedWindow) samples.shift();
        const first = samples[0] ?? { at, loaded };
        const speed = at - first.at < 500 ? 0 : ((loaded - first.loaded) / (at - first.at)) * 1000;
        this.#update(id, { loaded: Math.min(loaded, file.size), speed });
      },
    });
  }

  #update(id: number, change: Partial<Upload>): void {
    this.#set(this.#items.map((item) => (item.id === id ? { ...item, ...change } : item)));
  }

  #forget(id: number): void {
    this.#artifacts.delete(id);
    this.#set(this.#items.filter((item) => item.id !== id));
  }

  #set(items: readonly Upload[]): void {
    this.#items = items;
    for (const listener of this.#listeners) listener();
  }
}

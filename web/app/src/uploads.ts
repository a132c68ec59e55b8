import type { HeraldClient, Job } from "@herald/client";
import { bytes } from "./format";
import type { KeptFiles } from "./kept-files";
import { messageOf } from "./live";
import { isOf, takeUpload, type Unfinished, type UnfinishedList } from "./unfinished";
import type { VideoArgs } from "./video";

/** A file on its way to the server. */
export interface Upload {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly lastModified: number;
  /** Undefined after the page was loaded anew, until the file is chosen again. */
  readonly file: File | undefined;
  /** What is to become of it. */
  readonly args: VideoArgs;
  readonly state: "waiting" | "uploading" | "paused" | "starting" | "failed" | "refused" | "lost";
  readonly loaded: number;
  /** Bytes a second over the last few seconds; 0 while it is not known. */
  readonly speed: number;
  /** Why it failed, or what it waits for. */
  readonly error: string;
  /** The server's name for it, once it is begun. */
  readonly remote: string | undefined;
}

/** Whether the upload still goes on by itself. */
export function isUnderWay(upload: Upload): boolean {
  return upload.state !== "failed" && upload.state !== "refused" && upload.state !== "lost";
}

/** The calls that turn a file into a job. */
export type Uploader = Pick<HeraldClient, "upload" | "uploads" | "cancelUpload" | "startJob">;

/** What outlives the page. */
export interface UploadsKept {
  readonly list: UnfinishedList;
  readonly files: KeptFiles;
  /** Whether all of an upload is there. */
  readonly arrived: (upload: string) => Promise<boolean>;
}

const atOnce = 2;
const speedWindow = 4000;

/**
 * Uploads sends files, a few at a time, and starts each one's job as soon as
 * the file is there. A started job is handed to `onJob`, and its upload is
 * forgotten. A failed one stays until it is tried again or dismissed, a refused
 * one until it is dismissed. Those that the page was left with are there again
 * when it is loaded anew.
 */
export class Uploads {
  readonly #api: Uploader;
  readonly #onJob: (job: Job) => void;
  readonly #kept: UploadsKept | undefined;
  #items: readonly Upload[] = [];
  #lastId = 0;
  readonly #aborts = new Map<number, AbortController>();
  /** What is uploaded already, by the artifact that it is, so that trying again does not send it twice. */
  readonly #arrived = new Map<number, string>();
  /** Gives back what keeps other tabs from an upload. */
  readonly #holds = new Map<number, () => void>();
  readonly #listeners = new Set<() => void>();

  constructor(api: Uploader, onJob: (job: Job) => void, kept?: UploadsKept) {
    this.#api = api;
    this.#onJob = onJob;
    this.#kept = kept;
  }

  /** All uploads in the order of their adding; a new array with each change. */
  readonly items = (): readonly Upload[] => this.#items;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Takes up what an earlier page was left with, unless another tab does. */
  async restore(patience = 2000): Promise<void> {
    const known = this.#kept?.list.all() ?? [];
    if (known.length === 0) return;
    const there = new Map((await this.#api.uploads()).uploads.map((u) => [u.id, u.offset]));
    try {
      await Promise.all(known.map((upload) => this.#restoreOne(upload, there.get(upload.id), patience)));
    } finally {
      this.#startNext();
    }
  }

  /** Adds files; one above the limit is refused here, before it is sent. One that was lost goes on. */
  add(files: Iterable<File>, args: VideoArgs, limit: number): void {
    for (const file of files) {
      const lost = this.#items.find((item) => item.state === "lost" && isOf(item, file));
      if (lost === undefined) this.#add(file, args, limit);
      else this.#update(lost.id, { file, state: "waiting", error: "" });
    }
    this.#startNext();
  }

  /** Goes on with a lost upload; false when the file is not the one that it is of. */
  giveBack(id: number, file: File): boolean {
    const lost = this.#items.find((item) => item.id === id);
    if (lost?.name !== file.name || lost.size !== file.size) return false;
    this.#update(id, { file, state: "waiting", error: "" });
    this.#startNext();
    return true;
  }

  /** Stops an upload for good, or dismisses one that came to nothing. */
  cancel(id: number): void {
    const item = this.#items.find((other) => other.id === id);
    this.#aborts.get(id)?.abort();
    // What cannot be ended now goes by itself in a day.
    if (item?.remote !== undefined) this.#api.cancelUpload(item.remote).catch(() => undefined);
    this.#forget(id);
  }

  /** Tries a failed upload again. */
  retry(id: number): void {
    this.#update(id, { state: "waiting", speed: 0, error: "" });
    this.#startNext();
  }

  /** Stops all of them; they can be taken up again. */
  close(): void {
    const items = this.#items;
    this.#set([]);
    for (const item of items) {
      this.#aborts.get(item.id)?.abort();
      this.#holds.get(item.id)?.();
    }
    this.#holds.clear();
  }

  /** Whether something would be lost, or have to be chosen again, if the page were left now. */
  wouldBeMissed(keptSize: number): boolean {
    return this.#items.some((item) => isUnderWay(item) && (item.remote === undefined || item.size > keptSize));
  }

  #add(file: File, args: VideoArgs, limit: number): void {
    const { name, size, lastModified } = file;
    const error =
      size > limit
        ? `The file has ${bytes(size)}; the limit is ${bytes(limit)}.`
        : size === 0
          ? "The file is empty."
          : "";
    this.#insert({ name, size, lastModified, args, file, state: error === "" ? "waiting" : "refused", error });
  }

  #insert(item: Pick<Upload, "name" | "size" | "lastModified" | "args" | "file" | "state"> & Partial<Upload>): number {
    const id = ++this.#lastId;
    this.#set([...this.#items, { loaded: 0, speed: 0, error: "", remote: undefined, ...item, id }]);
    return id;
  }

  async #restoreOne(upload: Unfinished, offset: number | undefined, patience: number): Promise<void> {
    const release = await takeUpload(upload.id, patience);
    if (release === undefined) return;
    let id: number | undefined;
    try {
      id = await this.#takeUp(upload, offset);
    } finally {
      if (id === undefined) release();
      else this.#holds.set(id, release);
    }
  }

  /** Takes an upload up where the page before left it; undefined when nothing is to come of it. */
  async #takeUp(upload: Unfinished, offset: number | undefined): Promise<number | undefined> {
    const { name, size, lastModified, args, id: remote } = upload;
    // The page may have gone between the last byte and the job.
    const arrived = offset === undefined && (await this.#kept?.arrived(remote)) === true;
    const file = arrived ? undefined : await this.#kept?.files.get(remote);
    if (offset === undefined && !arrived && file === undefined) {
      this.#kept?.list.remove(remote);
      return undefined;
    }
    const id = this.#insert({
      ...{ name, size, lastModified, args, file, state: arrived || file !== undefined ? "waiting" : "lost" },
      ...{ loaded: arrived ? size : (offset ?? 0), remote },
    });
    if (arrived) this.#arrived.set(id, remote); // the artifact has the upload's name
    return id;
  }

  #startNext(): void {
    for (const item of this.#items) {
      if (this.#aborts.size >= atOnce) return;
      const { id, state, file } = item;
      const arrived = this.#arrived.get(id);
      if (state !== "waiting") continue;
      if (arrived !== undefined) void this.#send(item, () => Promise.resolve(arrived));
      else if (file !== undefined) void this.#send(item, (signal) => this.#upload(item, file, signal));
    }
  }

  /** Starts the job of a file once that is there: `send` resolves to the artifact that it is then. */
  async #send(item: Upload, send: (signal: AbortSignal) => Promise<string>): Promise<void> {
    const { id, name, size, args } = item;
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    try {
      const upload = await send(abort.signal);
      this.#arrived.set(id, upload);
      this.#update(id, { state: "starting", loaded: size, speed: 0, error: "" });
      // The key makes it one job, also when the page is loaded anew before it knows of it.
      const job = await this.#api.startJob(
        { kind: "video", title: name, args: { source: { upload }, ...args } },
        `upload-${upload}`,
      );
      this.#onJob(job);
      this.#forget(id);
    } catch (err) {
      this.#update(id, { state: "failed", error: messageOf(err) });
    } finally {
      this.#aborts.delete(id);
      this.#startNext();
    }
  }

  async #upload(item: Upload, file: File, signal: AbortSignal): Promise<string> {
    const { id, remote } = item;
    this.#update(id, { state: "uploading" });
    const speed = speedometer();
    const artifact = await this.#api.upload(file, {
      signal,
      resume: remote,
      memory: forgetful,
      onBegin: (begun) => {
        this.#begun(id, begun, file);
      },
      onWait: (why) => {
        if (why === undefined) this.#update(id, { state: "uploading", error: "" });
        else this.#update(id, { state: "paused", error: messageOf(why), speed: 0 });
      },
      onProgress: ({ loaded }) => {
        this.#update(id, { loaded: Math.min(loaded, file.size), speed: speed(loaded) });
      },
    });
    return artifact.id;
  }

  /** Remembers what the server calls the upload. */
  #begun(id: number, remote: string, file: File): void {
    const item = this.#items.find((other) => other.id === id);
    if (item === undefined) return;
    if (item.remote !== undefined && item.remote !== remote) this.#letGo(item.id, item.remote);
    this.#update(id, { remote });
    if (this.#kept === undefined) return;
    const { name, size, lastModified, args } = item;
    this.#kept.list.put({ id: remote, name, size, lastModified, args });
    void this.#kept.files.put(remote, file);
    if (this.#holds.has(id)) return;
    void takeUpload(remote, 1000).then((release) => {
      if (release === undefined) return;
      if (this.#items.some((other) => other.id === id)) this.#holds.set(id, release);
      else release();
    });
  }

  #update(id: number, change: Partial<Upload>): void {
    this.#set(this.#items.map((item) => (item.id === id ? { ...item, ...change } : item)));
  }

  #forget(id: number): void {
    const remote = this.#items.find((item) => item.id === id)?.remote;
    this.#arrived.delete(id);
    this.#set(this.#items.filter((item) => item.id !== id));
    this.#letGo(id, remote);
  }

  #letGo(id: number, remote: string | undefined): void {
    if (remote !== undefined) {
      this.#kept?.list.remove(remote);
      void this.#kept?.files.remove(remote);
    }
    this.#holds.get(id)?.();
    this.#holds.delete(id);
  }

  #set(items: readonly Upload[]): void {
    this.#items = items;
    for (const listener of this.#listeners) listener();
  }
}

/** The page remembers its uploads itself, with what is to become of them. */
const forgetful = { getItem: () => null, setItem: () => undefined, removeItem: () => undefined };

/** Tells from how much is there by now how fast it comes, in bytes a second; 0 while that is not known. */
function speedometer(): (loaded: number) => number {
  const samples: { at: number; loaded: number }[] = [];
  return (loaded) => {
    const at = performance.now();
    samples.push({ at, loaded });
    while (samples.length > 2 && at - (samples[0]?.at ?? at) > speedWindow) samples.shift();
    const first = samples[0] ?? { at, loaded };
    return at - first.at < 500 ? 0 : ((loaded - first.loaded) / (at - first.at)) * 1000;
  };
}

import { HeraldError, type HeraldAPI, type Job, type JobFilter, mergeJob, type StreamEvent } from "@herald/client";
import type { Model } from "./live.js";

/** A job as last heard of. */
export interface JobView {
  readonly job: Job | undefined;
  /** Nothing is known of it yet. */
  readonly loading: boolean;
  /** Why it cannot be shown: a HeraldError when the server has refused. */
  readonly error: Error | undefined;
}

/** Jobs as last heard of, the newest first. */
export interface JobsView {
  readonly jobs: readonly Job[];
  readonly loading: boolean;
  readonly error: Error | undefined;
  /** There are older ones: `more` reads them. */
  readonly hasMore: boolean;
}

export const nothingYet: JobView = { job: undefined, loading: true, error: undefined };
export const noneYet: JobsView = { jobs: [], loading: true, error: undefined, hasMore: false };

/** Whether nothing more will come of the job by itself. */
function hasEnded(job: Job): boolean {
  return job.state === "succeeded" || job.state === "failed" || job.state === "cancelled";
}

/** What an event says of a job: all, or the part that moves. */
function jobOf(
  event: StreamEvent,
): { full: Job } | { moving: Parameters<typeof mergeJob>[1] } | { gone: string } | undefined {
  switch (event.type) {
    case "job.progress":
    case "job.message":
      return { moving: event.data };
    case "job.deleted":
      return { gone: event.data.id };
    case "job.queued":
    case "job.started":
    case "job.step":
    case "job.retrying":
    case "job.stalled":
    case "job.resumed":
    case "job.cancelling":
    case "job.cancelled":
    case "job.succeeded":
    case "job.failed":
    case "job.artifacts_expired":
      return { full: event.data };
    default:
      return undefined;
  }
}

/** Reads something, one reading at a time; one that is asked for meanwhile follows. */
class Reading {
  #busy = false;
  #again = false;
  #begun = false;

  constructor(private readonly read: () => Promise<void>) {}

  /** Begins unless that has been done. */
  begin(): void {
    if (!this.#begun) this.start();
  }

  start(): void {
    this.#begun = true;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    void this.read().finally(() => {
      this.#busy = false;
      if (!this.#again) return;
      this.#again = false;
      this.start();
    });
  }
}

/** JobModel is one job, by version and never back. */
export class JobModel implements Model<JobView> {
  view = nothingYet;
  readonly #client: HeraldAPI;
  readonly #id: string;
  readonly #changed: () => void;
  readonly #reading = new Reading(() => this.#read());
  #job: Job | undefined;
  #gone = false;
  #error: Error | undefined;
  /** Cancellations that are under way. */
  #cancels = 0;

  constructor(client: HeraldAPI, id: string, changed: () => void) {
    this.#client = client;
    this.#id = id;
    this.#changed = changed;
  }

  begin(): void {
    this.#reading.begin();
  }

  onEvent(event: StreamEvent): void {
    if (event.type === "stream.open") {
      if (event.data.resumed) this.begin();
      else this.#readUnlessEnded();
    }
    if (event.type === "stream.snapshot") this.#takeSnapshot(event.data.jobs);
    const said = jobOf(event);
    if (said === undefined) return;
    if ("gone" in said) {
      if (said.gone === this.#id) this.#forget(undefined);
    } else if ("full" in said) {
      if (said.full.id === this.#id) this.put(said.full);
    } else if (said.moving.id === this.#id) {
      if (this.#job === undefined) this.#reading.start();
      else this.put(mergeJob(this.#job, said.moving));
    }
  }

  /** Takes the job over if it is newer. */
  put(job: Job): void {
    if (this.#gone || (this.#job !== undefined && job.version <= this.#job.version)) return;
    this.#job = job;
    this.#error = undefined;
    this.#show();
  }

  /** Shows the job as being cancelled at once; what the server and the stream say counts. */
  async cancel(): Promise<void> {
    this.#cancels++;
    this.#show();
    try {
      this.put(await this.#client.cancelJob(this.#id));
    } finally {
      this.#cancels--;
      this.#show();
    }
  }

  #takeSnapshot(jobs: readonly Job[]): void {
    const mine = jobs.find((job) => job.id === this.#id);
    if (mine !== undefined) this.put(mine);
  }

  #readUnlessEnded(): void {
    if (!this.#gone && (this.#job === undefined || !hasEnded(this.#job))) this.#reading.start();
  }

  async #read(): Promise<void> {
    try {
      this.put(await this.#client.job(this.#id));
    } catch (err) {
      if (err instanceof HeraldError && err.status === 404) this.#forget(err);
      else this.#fail(err as Error);
    }
  }

  #forget(error: Error | undefined): void {
    this.#gone = error === undefined; // one that is not found may come
    this.#job = undefined;
    this.#fail(error);
  }

  #fail(error: Error | undefined): void {
    this.#error = error;
    this.#show();
  }

  #show(): void {
    const job = this.#job;
    const early = job !== undefined && this.#cancels > 0 && !hasEnded(job) && job.state !== "cancelling";
    const error = this.#error;
    const loading = job === undefined && error === undefined && !this.#gone;
    if (!early && job === this.view.job && loading === this.view.loading && error === this.view.error) return;
    this.view = { job: early ? { ...job, state: "cancelling" } : job, loading, error };
    this.#changed();
  }
}

/** So many jobs that do not match are kept, so that their later events are not taken for news. */
const mostOthers = 500;

/** JobsModel is the jobs that match a filter. */
export class JobsModel implements Model<JobsView> {
  view = noneYet;
  readonly #client: HeraldAPI;
  readonly #filter: JobFilter;
  readonly #changed: () => void;
  readonly #reading = new Reading(() => this.#readFirst());
  readonly #jobs = new Map<string, Job>();
  readonly #gone = new Set<string>();
  readonly #asked = new Set<string>();
  #loading = true;
  #error: Error | undefined;
  #next = "";

  constructor(client: HeraldAPI, filter: JobFilter, changed: () => void) {
    this.#client = client;
    this.#filter = filter;
    this.#changed = changed;
  }

  begin(): void {
    this.#reading.begin();
  }

  onEvent(event: StreamEvent): void {
    if (event.type === "stream.open") {
      if (event.data.resumed) this.begin();
      else this.#reading.start();
    }
    if (event.type === "stream.snapshot") this.#takeSnapshot(event.data.jobs);
    const said = jobOf(event);
    if (said === undefined) return;
    if ("gone" in said) this.#remove(said.gone);
    else if ("full" in said) this.#put(said.full);
    else {
      const old = this.#jobs.get(said.moving.id);
      if (old === undefined) this.#ask(said.moving.id);
      else this.#put(mergeJob(old, said.moving));
    }
    this.#show();
  }

  /** Reads the next older page; rejects when it cannot. */
  async more(): Promise<void> {
    if (this.#next === "") return;
    const page = await this.#client.listJobs({ ...this.#filter, before: this.#next });
    for (const job of page.jobs) this.#put(job);
    this.#next = page.next;
    this.#show();
  }

  /** A snapshot has every active job, so one that it lacks has ended. */
  #takeSnapshot(jobs: readonly Job[]): void {
    const active = new Set(jobs.map((job) => job.id));
    for (const job of jobs) this.#put(job);
    for (const job of this.#jobs.values()) if (!hasEnded(job) && !active.has(job.id)) this.#ask(job.id);
    this.#show();
  }

  /** Jobs that are known and no longer listed have been deleted, or match no more. */
  async #readFirst(): Promise<void> {
    const known = [...this.#jobs.keys()];
    try {
      const { jobs, next } = await this.#client.listJobs(this.#filter);
      const oldest = next === "" ? "" : (jobs.at(-1)?.id ?? "");
      const listed = new Set(jobs.map((job) => job.id));
      for (const id of known) if (id >= oldest && !listed.has(id)) this.#jobs.delete(id);
      for (const job of jobs) this.#put(job);
      if (this.#loading) this.#next = next;
      this.#loading = false;
      this.#error = undefined;
    } catch (err) {
      this.#error = err as Error;
      this.#loading = false;
    }
    this.#show();
  }

  /** Reads one job of which only a part is known. */
  #ask(id: string): void {
    if (this.#asked.has(id) || this.#gone.has(id)) return;
    this.#asked.add(id);
    this.#client
      .job(id)
      .then(
        (job) => {
          this.#put(job);
        },
        (err: unknown) => {
          if (err instanceof HeraldError && err.status === 404) this.#remove(id);
        },
      )
      .finally(() => {
        this.#asked.delete(id);
        this.#show();
      });
  }

  #put(job: Job): void {
    const old = this.#jobs.get(job.id);
    if (this.#gone.has(job.id) || (old !== undefined && job.version <= old.version)) return;
    this.#jobs.set(job.id, job);
    if (!this.#matches(job)) this.#forgetOthers();
  }

  #remove(id: string): void {
    this.#jobs.delete(id);
    this.#gone.add(id);
    if (this.#gone.size > mostOthers) this.#gone.delete(this.#gone.values().next().value ?? "");
  }

  #forgetOthers(): void {
    const others = [...this.#jobs.values()].filter((job) => !this.#matches(job));
    for (const job of others.slice(0, Math.max(0, others.length - mostOthers))) this.#jobs.delete(job.id);
  }

  #matches(job: Job): boolean {
    const { kind = job.kind, state = job.state } = this.#filter;
    return job.kind === kind && (state === job.state || state === (hasEnded(job) ? "ended" : "active"));
  }

  #show(): void {
    this.view = {
      jobs: [...this.#jobs.values()].filter((job) => this.#matches(job)).sort((a, b) => (a.id < b.id ? 1 : -1)),
      loading: this.#loading,
      error: this.#error,
      hasMore: this.#next !== "",
    };
    this.#changed();
  }
}

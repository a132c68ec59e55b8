import { type Job, type Moving, mergeJob } from "@herald/client";
import { painting } from "./painting";
import { Turns } from "./turns";

/** The jobs on the page in their order, and how the reading of the list stands. */
export interface JobList {
  /** Jobs that have not ended: those under way first, then the newest first. */
  readonly active: readonly string[];
  /** Jobs that have ended, the newest first. */
  readonly ended: readonly string[];
  readonly status: "loading" | "ready" | "failed";
  /** Why the last reading of the list failed. */
  readonly error: string;
  /** Where the next older page begins; empty when there is none. */
  readonly next: string;
}

/** A change that somebody who does not look at the page wants to hear of. */
export interface Transition {
  readonly job: Job;
  readonly kind: "started" | "ended";
}

/** Runs the function once, soon. */
export type Schedule = (flush: () => void) => void;

type Listener = () => void;

/** What a job is shown as while something is asked of it. */
interface Assumption {
  readonly change: (job: Job) => Job;
  /** The job that `shown` is made of. */
  of: Job;
  shown: Job;
}

/**
 * JobStore is the page's only knowledge of jobs, by id. Whatever is put into it
 * counts only if its version is newer, so the order of arrival does not matter.
 * Listeners are told after a short while and once for all that came meanwhile;
 * who listens for one job is not told of another.
 */
export class JobStore {
  readonly #jobs = new Map<string, Job>();
  readonly #gone = new Set<string>();
  readonly #assumed = new Map<string, Assumption>();
  #list: JobList = { active: [], ended: [], status: "loading", error: "", next: "" };
  #unsorted = false;

  readonly #jobListeners = new Map<string, Set<Listener>>();
  readonly #listListeners = new Set<Listener>();
  readonly #anyListeners = new Set<Listener>();
  readonly #transitionListeners = new Set<(t: Transition) => void>();
  readonly #turns = new Turns();

  readonly #schedule: Schedule;
  readonly #dirty = new Set<string>();
  #listDirty = false;
  #scheduled = false;

  constructor(schedule: Schedule = painting()) {
    this.#schedule = schedule;
  }

  /** The job as last heard of, with what is assumed of it. The object changes whenever the job does. */
  job(id: string): Job | undefined {
    const job = this.#jobs.get(id);
    const assumed = this.#assumed.get(id);
    if (job === undefined || assumed === undefined) return job;
    if (assumed.of !== job) {
      assumed.of = job;
      assumed.shown = assumed.change(job);
    }
    return assumed.shown;
  }

  /** Whether the job was there, and is no more. */
  isGone(id: string): boolean {
    return this.#gone.has(id);
  }

  /**
   * Shows a job as it is soon expected to be, until the function that it returns is
   * called. What comes meanwhile is changed alike, so the change has to leave alone
   * what it no longer fits.
   */
  assume(id: string, change: (job: Job) => Job): () => void {
    const job = this.#jobs.get(id);
    if (job === undefined) return () => undefined;
    const assumption = { change, of: job, shown: change(job) };
    this.#assumed.set(id, assumption);
    this.#changed(id, false);
    return () => {
      if (this.#assumed.get(id) !== assumption) return;
      this.#assumed.delete(id);
      this.#changed(id, false);
    };
  }

  /** All jobs that have not ended. */
  active(): Job[] {
    return [...this.#jobs.values()].filter((j) => !hasEnded(j));
  }

  /** The kinds of the jobs that are known. */
  kinds(): ReadonlySet<string> {
    return new Set([...this.#jobs.values()].map((j) => j.kind));
  }

  readonly list = (): JobList => {
    if (this.#unsorted) {
      this.#unsorted = false;
      this.#list = { ...this.#list, ...sorted([...this.#jobs.values()]) };
    }
    return this.#list;
  };

  /** Takes over a job's full view. */
  put(job: Job): void {
    if (this.#gone.has(job.id)) return;
    const old = this.#jobs.get(job.id);
    if (old === undefined || job.version > old.version) this.#replace(old, job);
  }

  /** Takes over the part of a job that moves; false when the job is not known. */
  move(moving: Moving): boolean {
    const old = this.#jobs.get(moving.id);
    if (old === undefined) return this.#gone.has(moving.id);
    const job = mergeJob(old, moving);
    if (job !== old) this.#replace(old, job);
    return true;
  }

  /** Forgets a job for good: ids are never used twice. */
  remove(id: string): void {
    if (this.#gone.has(id)) return;
    this.#gone.add(id);
    const known = this.#jobs.delete(id);
    this.#unsorted ||= known;
    this.#changed(id, known);
  }

  /** Forgets a job that is still there, so that it can be put again. */
  forget(id: string): void {
    if (!this.#jobs.delete(id)) return;
    this.#unsorted = true;
    this.#changed(id, true);
  }

  /** Records how a reading of the list went; `next` is kept unless it is given. */
  listRead(result: { status: JobList["status"]; error?: string; next?: string }): void {
    this.#list = { ...this.list(), error: "", ...result };
    this.#changed(undefined, true);
  }

  readonly subscribeJob = (id: string, listener: Listener): Listener => {
    const listeners = this.#jobListeners.get(id) ?? new Set();
    this.#jobListeners.set(id, listeners.add(listener));
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#jobListeners.delete(id);
    };
  };

  /** Tells of the job as well, but by turns with all who are told so: what nobody looks at can wait. */
  readonly subscribeJobByTurns = (id: string, listener: Listener): Listener => {
    const end = this.subscribeJob(id, () => {
      this.#turns.ask(listener);
    });
    return () => {
      end();
      this.#turns.forget(listener);
    };
  };

  readonly subscribeList = (listener: Listener): Listener => subscribe(this.#listListeners, listener);

  /** Tells of every change. */
  readonly subscribeAny = (listener: Listener): Listener => subscribe(this.#anyListeners, listener);

  /** Tells of jobs that start and end while this page is open. */
  readonly subscribeTransitions = (listener: (t: Transition) => void): Listener =>
    subscribe(this.#transitionListeners, listener);

  #replace(old: Job | undefined, job: Job): void {
    this.#jobs.set(job.id, job);
    const moved = old === undefined || rank(old) !== rank(job);
    this.#unsorted ||= moved;
    this.#changed(job.id, moved);
    if (old !== undefined) this.#tellTransition(old, job);
  }

  #tellTransition(old: Job, job: Job): void {
    const started = job.state === "running" && old.state === "queued";
    const ended = hasEnded(job) && !hasEnded(old);
    if (!started && !ended) return;
    for (const listener of this.#transitionListeners) listener({ job, kind: ended ? "ended" : "started" });
  }

  #changed(id: string | undefined, list: boolean): void {
    if (id !== undefined) this.#dirty.add(id);
    this.#listDirty ||= list;
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(this.#flush);
  }

  readonly #flush = (): void => {
    const ids = [...this.#dirty];
    const list = this.#listDirty;
    this.#scheduled = this.#listDirty = false;
    this.#dirty.clear();
    for (const id of ids) call(this.#jobListeners.get(id));
    if (list) call(this.#listListeners);
    call(this.#anyListeners);
  };
}

/** Whether nothing more will come of the job by itself. */
export function hasEnded(job: Job): boolean {
  return job.state === "succeeded" || job.state === "failed" || job.state === "cancelled";
}

function rank(job: Job): number {
  if (hasEnded(job)) return 2;
  return job.state === "queued" ? 1 : 0;
}

function sorted(jobs: Job[]): Pick<JobList, "active" | "ended"> {
  jobs.sort((a, b) => rank(a) - rank(b) || newestFirst(a, b));
  const ids = (wanted: boolean) => jobs.filter((j) => hasEnded(j) === wanted).map((j) => j.id);
  return { active: ids(false), ended: ids(true) };
}

/** Ids are UUIDv7, which sort by the time of their making. */
function newestFirst(a: Job, b: Job): number {
  return a.id < b.id ? 1 : -1;
}

function subscribe<T>(listeners: Set<T>, listener: T): Listener {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function call(listeners: Iterable<Listener> | undefined): void {
  for (const listener of [...(listeners ?? [])]) listener();
}

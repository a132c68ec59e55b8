import type { Job } from "@herald/client";
import { ask } from "./api";
import { askTimeout, checked, DemoWorker, type Fate, type Pace, steps, wait } from "./demo-worker";

/** What a load of demo jobs is to be. Shares are of all jobs, from 0 to 1. */
export interface LoadPlan {
  /** Jobs started a second. */
  readonly rate: number;
  /** It ends after so many jobs, or so many seconds. */
  readonly jobs: number;
  readonly seconds: number;
  readonly failing: number;
  readonly stalling: number;
  readonly retrying: number;
}

/** The bounds of what may be asked for. */
export const bounds = { leastRate: 0.5, mostRate: 50, mostJobs: 500, mostSeconds: 300 } as const;
/** So many jobs run at once at most: when all do, the next one waits. */
export const mostAtOnce = 40;
/** The kind of its jobs. */
export const demoKind = "demo";

/** How a load is going. */
export interface LoadView {
  readonly running: boolean;
  readonly started: number;
  readonly active: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly retried: number;
  readonly stalled: number;
  /** What stands in the way, if anything does. */
  readonly error: string;
  /** The jobs that it has made and not removed, the newest first. */
  readonly jobs: readonly string[];
  readonly removing: boolean;
}

const nothing: LoadView = {
  running: false,
  started: 0,
  active: 0,
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  retried: 0,
  stalled: 0,
  error: "",
  jobs: [],
  removing: false,
};

/** How long a worker of ours may be silent before its job is over: what is left behind ends by itself. */
const leaseMs = 15_000;

/**
 * DemoLoad starts jobs that run elsewhere, and is their worker, all by the public API. When it is stopped it ends those
 * under way, and when it is left it removes what it has made.
 */
export class DemoLoad {
  readonly #listeners = new Set<() => void>();
  readonly #ask: typeof ask;
  readonly #random: () => number;
  #view = nothing;
  #run: AbortController | undefined;
  /** Jobs under way, and their attempts. */
  readonly #underWay = new Map<string, number>();

  constructor(api: typeof ask = ask, random: () => number = Math.random) {
    this.#ask = api;
    this.#random = random;
  }

  readonly view = (): LoadView => this.#view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Begins, unless it is running. What is out of bounds is brought within them. */
  start(plan: LoadPlan): void {
    if (this.#run !== undefined) return;
    const run = new AbortController();
    this.#run = run;
    this.#show({ ...nothing, jobs: this.#view.jobs, running: true });
    void this.#go(within(plan), run.signal).finally(() => {
      if (this.#run === run) this.#run = undefined;
      this.#show({ running: this.#run !== undefined });
    });
  }

  /** Starts no more jobs, and ends those under way. */
  stop(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#show({ running: false });
  }

  /** Stops, and removes all jobs that it has made. */
  async remove(): Promise<void> {
    this.stop();
    await this.#removeAll(() => this.#view.jobs[0]);
  }

  /** Removes ended demo jobs of an earlier time, such as of a page that was closed; it tells how many there were. */
  async removeOld(): Promise<number> {
    const old = await this.old();
    await this.#removeAll(() => old.pop());
    return old.length;
  }

  /** The user's demo jobs that are not this page's. */
  async old(): Promise<string[]> {
    const { json } = await this.#ask("GET", `/api/jobs?kind=${demoKind}&state=ended&limit=200`);
    const { jobs = [] } = (json ?? {}) as { jobs?: readonly Job[] };
    const own = new Set(this.#view.jobs);
    return jobs.filter((job) => job.external && !own.has(job.id)).map((job) => job.id);
  }

  /** The page goes away: those under way are ended, as far as there is time for it. */
  abandon(): void {
    this.#run?.abort();
    for (const [id, attempt] of this.#underWay) {
      const body = JSON.stringify({ reports: [{ attempt, state: "cancelled" }] });
      this.#ask("POST", `/api/jobs/${id}/reports`, { body, keepalive: true }).catch(() => undefined);
    }
  }

  async #go(plan: LoadPlan, stopped: AbortSignal): Promise<void> {
    const ends = Date.now() + plan.seconds * 1000;
    const works = new Set<Promise<void>>();
    for (let i = 0; i < plan.jobs && Date.now() < ends && !stopped.aborted; i++) {
      const due = Date.now() + 1000 / plan.rate;
      const work = this.#work(plan, stopped);
      works.add(work);
      void work.finally(() => works.delete(work));
      if (works.size >= mostAtOnce) await Promise.race(works);
      await wait(due - Date.now(), stopped);
    }
    await Promise.all(works);
  }

  /** Is a job's worker, from its beginning to its end. */
  async #work(plan: LoadPlan, stopped: AbortSignal): Promise<void> {
    let id = "";
    try {
      const fate = this.#fate(plan);
      id = await this.#begin(fate);
      const end = await new DemoWorker(this.#ask, id, pace(plan.rate), stopped, {
        onAttempt: (attempt) => this.#underWay.set(id, attempt),
        onStalled: () => {
          this.#count("stalled");
        },
        onRetrying: () => {
          this.#count("retried");
        },
      }).work(fate);
      this.#count(end);
    } catch (err) {
      this.#show({ error: err instanceof Error ? err.message : "Herald cannot be reached." });
      this.#run?.abort();
    } finally {
      if (this.#underWay.delete(id)) this.#show({ active: this.#underWay.size });
    }
  }

  async #begin(fate: Fate): Promise<string> {
    const body = JSON.stringify({
      kind: demoKind,
      title: `Demo job ${String(this.#view.started + 1)}`,
      external: true,
      start: true,
      steps,
      lease_ms: leaseMs,
      max_attempts: fate === "retry" ? 2 : 1,
    });
    this.#count("started");
    const { id } = checked(
      await this.#ask("POST", "/api/jobs", { body, signal: AbortSignal.timeout(askTimeout) }),
    ) as Job;
    this.#underWay.set(id, 1);
    this.#show({ jobs: [id, ...this.#view.jobs], active: this.#underWay.size });
    return id;
  }

  #fate({ failing, stalling, retrying }: LoadPlan): Fate {
    const at = this.#random();
    if (at < failing) return "fail";
    if (at < failing + stalling) return "stall";
    return at < failing + stalling + retrying ? "retry" : "succeed";
  }

  async #removeAll(next: () => string | undefined): Promise<void> {
    if (this.#view.removing) return;
    this.#show({ removing: true });
    const one = async () => {
      for (let id = next(); id !== undefined; id = next()) {
        this.#show({ jobs: this.#view.jobs.filter((other) => other !== id) });
        await this.#removeOne(id);
      }
    };
    await Promise.all([one(), one(), one(), one()]);
    this.#show({ removing: false });
  }

  /** One that is still ending is tried again for a while. */
  async #removeOne(id: string): Promise<void> {
    for (let tries = 0; tries < 10; tries++) {
      const answer = await this.#ask("DELETE", `/api/jobs/${id}`).catch(() => undefined);
      if (answer !== undefined && answer.status !== 409 && answer.status !== 429) return;
      await wait(200);
    }
  }

  #count(what: "started" | "succeeded" | "failed" | "cancelled" | "retried" | "stalled"): void {
    this.#show({ [what]: this.#view[what] + 1 });
  }

  #show(change: Partial<LoadView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The faster jobs come, the shorter they are, and the less each says: so they fit into what may run at once. */
export function pace(rate: number): Pace {
  const life = Math.min(15_000, (mostAtOnce / rate) * 750);
  const reports = Math.min(20, Math.max(3, Math.floor(120 / rate)));
  return { reports, every: life / reports };
}

function within({ rate, jobs, seconds, failing, stalling, retrying }: LoadPlan): LoadPlan {
  const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);
  return {
    rate: clamp(rate, bounds.leastRate, bounds.mostRate),
    jobs: clamp(Math.floor(jobs), 1, bounds.mostJobs),
    seconds: clamp(seconds, 1, bounds.mostSeconds),
    failing: clamp(failing, 0, 1),
    stalling: clamp(stalling, 0, 1),
    retrying: clamp(retrying, 0, 1),
  };
}

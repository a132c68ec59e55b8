import { type HeraldClient, HeraldError, type LogEvent } from "@herald/client";
import { type EventListener, messageOf } from "./live";

/** What a job's history is made of: all that is not mere progress. */
const told = [
  ...["job.queued", "job.started", "job.step", "job.message", "job.retrying", "job.stalled", "job.resumed"],
  ...["job.cancelling", "job.cancelled", "job.succeeded", "job.failed", "job.late_report", "job.callback"],
  ...["job.artifacts_expired", "job.absent", "job.shared", "job.share_opened", "job.share_revoked"],
];

const pageSize = 200;
/** How many events are held; older ones can be read again. */
export const mostHeld = 2000;
/** How long after a reading the next may begin, in milliseconds. */
const pace = 1000;

/** A job's history as far as it has been read. */
export interface JobLogState {
  readonly status: "loading" | "ready" | "failed";
  /** Why the last reading failed. */
  readonly error: string;
  /** In the order of the log. */
  readonly events: readonly LogEvent[];
  /** There are older ones. */
  readonly more: boolean;
}

type Api = Pick<HeraldClient, "jobEvents">;

/**
 * JobLog holds the newest part of a job's log. The log is the truth, so what the
 * stream says only makes it read on, behind the last event that it has.
 */
export class JobLog {
  readonly #api: Api;
  readonly #id: string;
  readonly #listeners = new Set<() => void>();
  #state: JobLogState = { status: "loading", error: "", events: [], more: false };
  #reading = false;
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, id: string) {
    this.#api = api;
    this.#id = id;
  }

  readonly state = (): JobLogState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Reads, and reads on with each event of the stream, until the function that it returns is called. */
  follow(subscribe: (listener: EventListener) => () => void): () => void {
    const end = subscribe((event) => {
      if (event?.type !== "job.progress") this.readOn();
    });
    this.readOn();
    return () => {
      end();
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  /** Reads what is new, now or soon. */
  readonly readOn = (): void => {
    if (this.#reading || this.#timer !== undefined) {
      this.#again = true;
      return;
    }
    void this.#run(() => this.#newer());
  };

  /** Reads a page of what is older. */
  readonly readBack = (): void => {
    if (this.#reading) return;
    void this.#run(() => this.#older());
  };

  async #run(read: () => Promise<Partial<JobLogState>>): Promise<void> {
    this.#reading = true;
    this.#again = false;
    let change: Partial<JobLogState>;
    try {
      change = { ...(await read()), status: "ready", error: "" };
    } catch (err) {
      change = { status: this.#state.events.length === 0 ? "failed" : "ready", error: messageOf(err) };
    }
    this.#reading = false;
    this.#state = { ...this.#state, ...change };
    for (const listener of [...this.#listeners]) listener();
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#again && this.#listeners.size > 0) this.readOn();
    }, pace);
  }

  async #newer(): Promise<Partial<JobLogState>> {
    const { events } = this.#state;
    const last = events.at(-1)?.seq;
    if (last === undefined) return this.#newest();
    try {
      const page = await this.#api.jobEvents(this.#id, { types: told, after: last, limit: pageSize });
      if (page.next !== "") return await this.#newest(); // far behind: what lies between can be read back
      const all = [...events, ...page.events];
      return { events: all.slice(-mostHeld), ...(all.length > mostHeld ? { more: true } : {}) };
    } catch (err) {
      if (err instanceof HeraldError && err.status === 410) return this.#newest();
      throw err;
    }
  }

  async #newest(): Promise<Partial<JobLogState>> {
    const page = await this.#api.jobEvents(this.#id, { types: told, order: "desc", limit: pageSize });
    return { events: [...page.events].reverse(), more: page.next !== "" };
  }

  async #older(): Promise<Partial<JobLogState>> {
    const { events } = this.#state;
    const [first] = events;
    if (first === undefined) return this.#newest();
    const filter = { types: told, before: first.seq, order: "desc", limit: pageSize } as const;
    const page = await this.#api.jobEvents(this.#id, filter);
    const all = [...[...page.events].reverse(), ...events];
    return { events: all, more: page.next !== "" };
  }
}

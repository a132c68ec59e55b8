import {
  type HeraldClient,
  HeraldError,
  type Job,
  type JobFilter,
  type LogEvent,
  type StreamEvent,
  type StreamState,
} from "@herald/client";
import type { Clock } from "./clock";
import type { JobStore } from "./store";

/** The calls that keep the store complete. */
export type Reader = Pick<HeraldClient, "job" | "listJobs">;

/** What a stream tells: the shape of EventStream's callbacks. */
export interface StreamHandlers {
  onEvent(event: StreamEvent): void;
  onState(state: StreamState, error?: HeraldError): void;
}

/** What the log says of a job, as it comes on the stream. */
export type ToldEvent = Extract<StreamEvent, { readonly seq: number }>;

/** Is told of each event of a job; of none when some may have been missed. */
export type EventListener = (event: ToldEvent | undefined) => void;

/** Opens a stream of the topics, or of the user's own; a test opens one of its own. */
export type OpenStream = (handlers: StreamHandlers, topics?: readonly string[]) => { close(): void };

const pageSize = 50;

/**
 * Live keeps the store true: it applies the stream, and reads what the stream
 * cannot tell, which is what ended while no stream was open.
 */
export class Live {
  readonly #api: Reader;
  readonly #store: JobStore;
  readonly #clock: Clock;
  readonly #onSignedOut: () => void;
  readonly #openStream: OpenStream;

  #state: StreamState = "connecting";
  readonly #stateListeners = new Set<() => void>();
  readonly #eventListeners = new Map<string, Set<EventListener>>();
  readonly #logListeners = new Set<(event: LogEvent) => void>();
  /** Events up to this one may be old; those after it happen now. */
  #head = Infinity;
  /** Whose stream it is. */
  #user = "";
  #reading = false;
  /** Jobs whose reading failed; they are read again when the stream is. */
  readonly #owed = new Set<string>();

  /** `onSignedOut` is called when the server no longer knows the user. */
  constructor(api: Reader, store: JobStore, clock: Clock, onSignedOut: () => void, openStream: OpenStream) {
    this.#api = api;
    this.#store = store;
    this.#clock = clock;
    this.#onSignedOut = onSignedOut;
    this.#openStream = openStream;
  }

  /** Opens the stream; the function that it returns closes it. */
  open(): () => void {
    const stream = this.#openStream({
      onEvent: (event) => {
        this.#apply(event);
        if ("seq" in event) for (const listener of this.#logListeners) listener(event);
      },
      onState: (state, error) => {
        this.#setState(state, error);
      },
    });
    return () => {
      stream.close();
    };
  }

  /** Whether the page shows what is so now. */
  readonly state = (): StreamState => this.#state;

  readonly subscribeState = (listener: () => void): (() => void) => {
    this.#stateListeners.add(listener);
    return () => {
      this.#stateListeners.delete(listener);
    };
  };

  /** Tells of what the log says of a job from now on. */
  subscribeEvents(id: string, listener: EventListener): () => void {
    const listeners = this.#eventListeners.get(id) ?? new Set();
    this.#eventListeners.set(id, listeners.add(listener));
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#eventListeners.delete(id);
    };
  }

  /** Tells of each entry of the log that comes, after the store knows of it. */
  readonly subscribeLog = (listener: (event: LogEvent) => void): (() => void) => {
    this.#logListeners.add(listener);
    return () => {
      this.#logListeners.delete(listener);
    };
  };

  /**
   * Follows somebody else's job, of which the user's own stream does not tell. The function that it returns ends
   * that; what nobody keeps true is then forgotten.
   */
  follow(id: string): () => void {
    const stream = this.#openStream(
      {
        onEvent: (event) => {
          this.#applyFollowed(id, event);
        },
        onState: () => undefined, // the page says how the user's own stream is
      },
      [`job:${id}`],
    );
    return () => {
      stream.close();
      this.#store.forget(id);
    };
  }

  /**
   * Reads the newest jobs. Ended jobs that the store knows and the server no
   * longer lists have been deleted meanwhile.
   */
  async reload(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    const known = new Set(this.#store.list().ended.filter((id) => this.#store.job(id)?.owner === this.#user));
    try {
      const { jobs, next } = await this.#readBackTo(known);
      const oldest = next === "" ? "" : (jobs.at(-1)?.id ?? "");
      const listed = new Set(jobs.map((j) => j.id));
      for (const id of known) {
        if (id >= oldest && !listed.has(id)) this.#store.remove(id);
      }
      this.#store.listRead(known.size === 0 ? { status: "ready", next } : { status: "ready" });
    } catch (err) {
      this.#store.listRead({ status: "failed", error: messageOf(err) });
    } finally {
      this.#reading = false;
    }
  }

  /** Reads the next page of older jobs; rejects when it cannot. */
  async loadOlder(): Promise<void> {
    const page = await this.#api.listJobs({ limit: pageSize, before: this.#store.list().next });
    for (const job of page.jobs) this.#store.put(job);
    this.#store.listRead({ status: "ready", next: page.next });
  }

  /**
   * Reads a page of the jobs that match, from before the given one on, or the
   * newest; resolves to where the next page begins. Rejects when it cannot.
   */
  async loadMatching(filter: JobFilter, before: string): Promise<string> {
    const page = await this.#api.listJobs({ ...filter, limit: pageSize, ...(before !== "" && { before }) });
    for (const job of page.jobs) this.#store.put(job);
    return page.next;
  }

  /** Reads one job; rejects when it cannot. A job that is not there is removed from the store. */
  async read(id: string): Promise<void> {
    try {
      this.#store.put(await this.#api.job(id));
    } catch (err) {
      if (!(err instanceof HeraldError && err.status === 404)) throw err;
      this.#store.remove(id);
    }
    this.#owed.delete(id);
  }

  /** Reads pages, the newest first, until one has a job of the given ones or there is no more. */
  async #readBackTo(known: ReadonlySet<string>): Promise<{ jobs: Job[]; next: string }> {
    const jobs: Job[] = [];
    let next = "";
    do {
      const page = await this.#api.listJobs(next === "" ? { limit: pageSize } : { limit: pageSize, before: next });
      for (const job of page.jobs) this.#store.put(job);
      jobs.push(...page.jobs);
      next = page.next;
      if (page.jobs.some((j) => known.has(j.id))) break;
    } while (next !== "" && known.size > 0);
    return { jobs, next };
  }

  #setState(state: StreamState, error: HeraldError | undefined): void {
    this.#state = state;
    for (const listener of this.#stateListeners) listener();
    if (state === "closed" && error?.status === 401) this.#onSignedOut();
  }

  #apply(event: StreamEvent): void {
    switch (event.type) {
      case "stream.open":
        this.#head = event.data.head;
        this.#user = event.data.user;
        for (const id of this.#owed) this.#fetch(id);
        if (!event.data.resumed) {
          void this.reload();
          this.#tellAll();
        }
        break;
      case "stream.snapshot":
        this.#applySnapshot(event.data.jobs);
        break;
      case "job.progress":
      case "job.message":
        this.#learn(event);
        if (!this.#store.move(event.data)) this.#fetch(event.data.id);
        break;
      case "job.deleted":
        this.#store.remove(event.data.id);
        break;
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
        this.#learn(event);
        this.#store.put(event.data);
        break;
      case "job.callback": // it does not say of which job
        this.#tellAll();
        break;
    }
    if ("seq" in event && event.type !== "job.callback") this.#tell(event);
  }

  #applyFollowed(id: string, event: StreamEvent): void {
    switch (event.type) {
      case "stream.open":
        break;
      case "stream.snapshot":
        for (const job of event.data.jobs) this.#store.put(job);
        // One that was active has ended between its reading and the stream.
        if (event.data.jobs.length === 0 && this.#store.list().active.includes(id)) this.#fetch(id);
        this.#tellAll();
        break;
      default:
        this.#apply(event);
    }
  }

  /** After the store knows it, since who is told looks there. */
  #tell(event: ToldEvent): void {
    const of = event.data as { readonly id?: unknown; readonly job_id?: unknown } | null;
    for (const listener of this.#eventListeners.get(String(of?.job_id ?? of?.id)) ?? []) listener(event);
  }

  #tellAll(): void {
    for (const listeners of this.#eventListeners.values()) for (const listener of listeners) listener(undefined);
  }

  /** A snapshot has every active job, so one that it lacks is no longer active. */
  #applySnapshot(jobs: readonly Job[]): void {
    const active = new Set(jobs.map((j) => j.id));
    for (const job of jobs) this.#store.put(job);
    for (const id of this.#store.list().active) {
      if (!active.has(id)) this.#fetch(id);
    }
  }

  #learn(event: { seq: number; time: string }): void {
    if (event.seq > this.#head) this.#clock.learn(event.time);
  }

  #fetch(id: string): void {
    this.read(id).catch(() => this.#owed.add(id));
  }
}

/** What went wrong, for the reader of the page. */
export function messageOf(err: unknown): string {
  if (err instanceof HeraldError) return err.message;
  return "Herald cannot be reached.";
}

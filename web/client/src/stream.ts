import { type Backoff, fullJitter } from "./backoff";
import { HeraldError } from "./error";
import { type ServerSentEvent, SSEParser } from "./sse";
import type { StreamEvent } from "./wire";

/**
 * Whether what a client shows is so now: `live` only while the server is heard;
 * `offline` when the device has no network; `closed` for good.
 */
export type StreamState = "connecting" | "live" | "reconnecting" | "offline" | "closed";

/** What a stream follows, and whom it tells. */
export interface EventStreamOptions {
  /** The address of the stream, such as "/api/sse". */
  readonly url: string;
  /** What to follow; by default the user's own events and everybody's. */
  readonly topics?: readonly string[];
  /** Headers for each connection, such as an authorization. */
  readonly headers?: () => Record<string, string> | Promise<Record<string, string>>;
  /** The cursor to resume from: the last id seen. */
  readonly lastEventId?: string;
  readonly onEvent: (event: StreamEvent) => void;
  /** Told of each change; the error says why a stream is closed for good. */
  readonly onState?: (state: StreamState, error?: HeraldError) => void;
  /** Bounds of the wait before a reconnect; by default 250 ms and 15 s. */
  readonly backoff?: Backoff;
  readonly fetch?: typeof fetch;
}

/** The connection is taken for dead after so many heartbeats that did not come. */
const missedHeartbeats = 2.5;
/** The heartbeat to expect before the server has told its own, in milliseconds. */
const firstHeartbeat = 15_000;

/**
 * EventStream follows topics. It reconnects by itself and resumes where it was,
 * so each event comes once and in order; where the server cannot resume, a
 * `stream.reset` and a snapshot come instead. It gives up only when it is not
 * allowed to follow.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #closing = new AbortController();
  #state: StreamState = "connecting";
  #lastId: string;
  #lastSeq = 0;
  #tries = 0;
  /** How long the server wants us to stay away before the next connection. */
  #retry: number | undefined;
  #heartbeat = firstHeartbeat;
  #heardAt = 0;
  #connection: AbortController | undefined;
  #wakeUp: (() => void) | undefined;

  /** Connects at once. */
  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#lastId = options.lastEventId ?? "";
    this.#lastSeq = Number(this.#lastId);
    this.#listen();
    void this.#run();
  }

  get state(): StreamState {
    return this.#state;
  }

  /** The cursor to resume from. */
  get lastEventId(): string {
    return this.#lastId;
  }

  /** Ends the stream for good. */
  close(): void {
    this.#end();
  }

  #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  #end(error?: HeraldError): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#connection?.abort();
    this.#wakeUp?.();
    this.#setState("closed", error);
  }

  async #run(): Promise<void> {
    while (!this.#closed()) {
      try {
        await this.#connect();
      } catch (err) {
        if (err instanceof HeraldError && isFinal(err)) {
          this.#end(err);
          return;
        }
      }
      if (this.#closed()) return;
      this.#setState(online() ? "reconnecting" : "offline");
      await this.#pause();
    }
  }

  /** Follows one connection until it ends, however it ends. */
  async #connect(): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    const watch = setInterval(() => {
      this.#checkAlive();
    }, 1000);
    this.#heardAt = Date.now();
    try {
      const response = await (this.#options.fetch ?? fetch)(this.#address(), {
        headers: await this.#headers(),
        cache: "no-store",
        signal: connection.signal,
      });
      if (!response.ok) throw await HeraldError.from(response);
      if (response.body === null) throw new TypeError("the answer has no body");
      await this.#read(response.body);
    } finally {
      clearInterval(watch);
      connection.abort();
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const parser = new SSEParser({
      onEvent: (event) => {
        this.#take(event);
      },
      onRetry: (ms) => {
        this.#retry = ms;
      },
    });
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#closing.signal.aborted) return;
      this.#heardAt = Date.now();
      parser.push(decoder.decode(value, { stream: true }));
    }
  }

  #address(): string {
    const query = new URLSearchParams();
    for (const topic of this.#options.topics ?? []) query.append("topic", topic);
    const text = query.toString();
    return text === "" ? this.#options.url : `${this.#options.url}?${text}`;
  }

  async #headers(): Promise<Record<string, string>> {
    const headers: Record<string, string> = { ...(await this.#options.headers?.()), accept: "text/event-stream" };
    if (this.#lastId !== "") headers["last-event-id"] = this.#lastId;
    return headers;
  }

  #take({ id, event: type, data }: ServerSentEvent): void {
    const parsed: unknown = JSON.parse(data);
    if (!type.startsWith("stream.")) {
      this.#takeLogged(parsed as StreamEvent & { seq: number });
      return;
    }
    const event = { type, data: parsed } as StreamEvent;
    switch (event.type) {
      case "stream.open":
        this.#heartbeat = event.data.heartbeat_ms;
        this.#tries = 0;
        this.#retry = undefined;
        this.#setState("live");
        break;
      case "stream.snapshot":
        this.#lastId = id;
        this.#lastSeq = Number(id);
        break;
      case "stream.reset":
        this.#lastId = "";
        this.#lastSeq = 0;
        break;
      case "stream.expired":
        this.#options.onEvent(event);
        this.#end(new HeraldError({ type: "/problems/token-expired", title: "Your sign-in has expired", status: 401 }));
        return;
    }
    this.#options.onEvent(event);
  }

  #takeLogged(event: StreamEvent & { seq: number }): void {
    if (event.seq <= this.#lastSeq) return;
    this.#lastSeq = event.seq;
    this.#lastId = String(event.seq);
    this.#options.onEvent(event);
  }

  /** Cuts a connection that has said nothing for too long. */
  #checkAlive(): void {
    if (Date.now() - this.#heardAt > missedHeartbeats * this.#heartbeat) this.#connection?.abort();
  }

  /** Waits before the next try, or until something says that it is worth trying now. */
  async #pause(): Promise<void> {
    const backoff = this.#options.backoff ?? { first: 250, longest: 15_000 };
    const wait = this.#retry ?? fullJitter(this.#tries, backoff);
    this.#retry = undefined;
    this.#tries++;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = undefined;
  }

  /** A page that comes back from sleep, or a network that does, is a reason to look at once. */
  #listen(): void {
    if (typeof window === "undefined") return;
    const { signal } = this.#closing;
    const look = () => {
      this.#checkAlive();
      this.#tries = 0;
      this.#wakeUp?.();
    };
    window.addEventListener("online", look, { signal });
    window.addEventListener("pageshow", look, { signal });
    document.addEventListener("visibilitychange", look, { signal });
    window.addEventListener(
      "offline",
      () => {
        this.#connection?.abort();
      },
      { signal },
    );
  }

  #setState(state: StreamState, error?: HeraldError): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onState?.(state, error);
  }
}

/** Whether asking again would be answered the same. */
function isFinal(err: HeraldError): boolean {
  return err.status === 400 || err.status === 401 || err.status === 403;
}

/** Node has a navigator that does not know. */
function online(): boolean {
  return typeof window === "undefined" || navigator.onLine;
}

import { Acks } from "./acks.js";
import { type Backoff, fullJitter } from "./backoff.js";
import { HeraldError } from "./error.js";
import { callOut, followPage, online, pageHidden, pageVisible } from "./page.js";
import { type ServerSentEvent, SSEParser } from "./sse.js";
import type { StreamEvent } from "./wire.js";

/**
 * Whether what a client shows is so now: `live` only while the server is heard;
 * `offline` when the device has no network; `closed` for good.
 */
export type StreamState = "connecting" | "live" | "reconnecting" | "offline" | "closed";

/** Gives a bearer token: a new one if `renew` is true, since the last was refused or has expired. */
export type TokenSource = (renew: boolean) => string | Promise<string>;

/** What a stream follows, and whom it tells. */
export interface EventStreamOptions {
  /** The address of the stream, such as "/api/sse". */
  readonly url: string;
  /** What to follow; by default the user's own events and everybody's. */
  readonly topics?: readonly string[];
  /** Only events of these types, or of all that begin so: "job.failed", "job.*". */
  readonly types?: readonly string[];
  /** Only events whose metadata has, for each key, the value or one of the values. */
  readonly metadata?: Readonly<Record<string, string | readonly string[]>>;
  /** A bearer token for each connection, where there is no cookie. */
  readonly token?: TokenSource;
  /** A ticket for each connection, where no header may be sent. */
  readonly ticket?: () => string | Promise<string>;
  /** Other headers for each connection. */
  readonly headers?: () => Record<string, string> | Promise<Record<string, string>>;
  /** Whether cookies go along; by default to the page's own origin. */
  readonly credentials?: RequestCredentials;
  /** The cursor to resume from: the last id seen. */
  readonly lastEventId?: string;
  /** Told of each event. What it throws is an uncaught error of the page, and the stream goes on. */
  readonly onEvent: (event: StreamEvent) => void;
  /** Told of each change; the error says why a stream is closed for good. */
  readonly onState?: (state: StreamState, error?: HeraldError) => void;
  /** Bounds of the wait before a reconnect; by default 250 ms and 15 s. */
  readonly backoff?: Backoff;
  /**
   * Whether the server is told, when it asks for it, how far onEvent has come: to the last event that it returned
   * from. By default it is.
   */
  readonly acknowledge?: boolean;
  /** Whether somebody sees what comes; by default whether the page is visible, and without a page never. */
  readonly visible?: () => boolean;
  /**
   * Whether there is a connection only while the page is visible, so that hidden tabs take up none of the few that a
   * browser has for a host. When the page is shown, the stream goes on where it was.
   */
  readonly whileVisible?: boolean;
  /** Told of each acknowledgement that failed, for debugging: the next one makes up for it. */
  readonly onAckError?: (err: unknown) => void;
  readonly fetch?: typeof fetch;
}

/** The connection is taken for dead after so many heartbeats that did not come. */
const missedHeartbeats = 2.5;
/** The heartbeat to expect before the server has told its own, in milliseconds. */
const firstHeartbeat = 15_000;
/** The longest that setTimeout can wait, in milliseconds. */
const longestTimeout = 2 ** 31 - 1;

/**
 * EventStream follows topics. It reconnects by itself and resumes where it was,
 * so each event comes once and in order; where the server cannot resume, a
 * `stream.reset` and a snapshot come instead. While its page is frozen it has no
 * connection. It gives up only when it is not allowed to follow.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #acks: Acks;
  #state: StreamState = "connecting";
  #lastId: string;
  #lastSeq = 0;
  #tries = 0;
  /** How long the server wants us to stay away before the next connection. */
  #retry: number | undefined;
  #heartbeat = firstHeartbeat;
  #heardAt = 0;
  /** When the server let the connection in; undefined until it has. */
  #openedAt: number | undefined;
  #connection: AbortController | undefined;
  #wakeUp: (() => void) | undefined;
  /** The page is frozen, put away to come back, or hidden where that counts. */
  #asleep: boolean;
  /** The last token was refused or has expired. */
  #renew = false;

  /** Connects at once. */
  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? { first: 250, longest: 15_000 };
    this.#lastId = options.lastEventId ?? "";
    this.#lastSeq = Number(this.#lastId);
    this.#asleep = this.#unseen();
    this.#acks = new Acks({
      url: `${options.url.split("?", 1).join()}/ack`,
      fetch: options.fetch ?? ((...args) => fetch(...args)),
      headers: () => this.#authorized(false),
      credentials: options.credentials ?? "same-origin",
      visible: options.visible ?? pageVisible,
      onError: (err) => {
        callOut(() => options.onAckError?.(err));
      },
    });
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
    this.#acks.stop();
    this.#wakeUp?.();
    this.#setState("closed", error);
  }

  async #run(): Promise<void> {
    while (!this.#closed()) {
      try {
        if (!this.#asleep) await this.#connect();
      } catch (err) {
        if (this.#mayRenew(err)) continue;
        if (err instanceof HeraldError && isFinal(err)) this.#end(err);
      }
      if (this.#closed()) return;
      this.#cutOff();
      await this.#pause();
    }
  }

  /** Reports whether a new token is worth a try, once. */
  #mayRenew(err: unknown): boolean {
    if (this.#options.token === undefined || this.#renew) return false;
    this.#renew = err instanceof HeraldError && err.status === 401;
    return this.#renew;
  }

  /** Follows one connection until it ends, however it ends. */
  async #connect(): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    const watch = setInterval(() => {
      this.#checkAlive();
    }, 1000);
    this.#heardAt = Date.now();
    this.#openedAt = undefined;
    try {
      const { fetch: ask = fetch, credentials = "same-origin" } = this.#options;
      const address = await this.#address();
      const headers = await this.#headers();
      connection.signal.throwIfAborted();
      const response = await ask(address, { headers, credentials, cache: "no-store", signal: connection.signal });
      if (!response.ok) throw await HeraldError.from(response);
      if (response.body === null) throw new TypeError("the answer has no body");
      await this.#read(response.body);
    } finally {
      clearInterval(watch);
      connection.abort();
      this.#acks.stop();
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

  async #address(): Promise<string> {
    const address = streamAddress(this.#options);
    if (this.#options.ticket === undefined) return address;
    return withQuery(address, `ticket=${encodeURIComponent(await this.#options.ticket())}`);
  }

  async #headers(): Promise<Record<string, string>> {
    const headers = { ...(await this.#authorized(this.#renew)), accept: "text/event-stream" };
    return this.#lastId === "" ? headers : { ...headers, "last-event-id": this.#lastId };
  }

  #authorized(renew: boolean): Promise<Record<string, string>> {
    return authorized(this.#options, renew);
  }

  #take({ id, event: type, data }: ServerSentEvent): void {
    if (this.#closed()) return; // by the handler of an event that came with this one
    const parsed: unknown = JSON.parse(data);
    if (!type.startsWith("stream.")) {
      this.#takeLogged(parsed as StreamEvent & { seq: number });
      return;
    }
    const event = { type, data: parsed } as StreamEvent;
    switch (event.type) {
      case "stream.open":
        this.#heartbeat = event.data.heartbeat_ms;
        this.#openedAt = Date.now();
        this.#renew = false;
        this.#acknowledge(event.data);
        this.#setState("live");
        break;
      case "stream.snapshot":
        this.#lastId = id;
        this.#lastSeq = Number(id);
        if (this.#tell(event)) this.#acks.handled(this.#lastSeq);
        return;
      case "stream.reset":
        this.#lastId = "";
        this.#lastSeq = 0;
        break;
      case "stream.expired":
        this.#tell(event);
        this.#expired();
        return;
    }
    this.#tell(event);
  }

  /** Comes back with a new token, where there is one to be had. */
  #expired(): void {
    this.#renew = this.#options.token !== undefined;
    if (this.#renew) this.#connection?.abort();
    else
      this.#end(new HeraldError({ type: "/problems/token-expired", title: "Your sign-in has expired", status: 401 }));
  }

  #takeLogged(event: StreamEvent & { seq: number }): void {
    if (event.seq <= this.#lastSeq) return;
    this.#lastSeq = event.seq;
    this.#lastId = String(event.seq);
    if (this.#tell(event)) this.#acks.handled(event.seq);
  }

  /** Reports whether the handler has handled it. */
  #tell(event: StreamEvent): boolean {
    return callOut(() => {
      this.#options.onEvent(event);
    });
  }

  #acknowledge(open: { client_id: string; ack_ms: number; resumed: boolean }): void {
    const interval = this.#options.acknowledge === false ? 0 : Math.min(open.ack_ms, longestTimeout);
    this.#acks.open(open.client_id, interval, open.resumed);
  }

  /** Cuts a connection that has said nothing for too long. */
  #checkAlive(): void {
    if (Date.now() - this.#heardAt > missedHeartbeats * this.#heartbeat) this.#connection?.abort();
  }

  /** Waits before the next try, or until something says that it is worth trying now. */
  async #pause(): Promise<void> {
    // A server that lets in and cuts at once counts as one that is away.
    if (this.#openedAt !== undefined && Date.now() - this.#openedAt >= this.#backoff.longest) this.#tries = 0;
    const wait = Math.min(Math.max(this.#retry ?? 0, fullJitter(this.#tries, this.#backoff)), longestTimeout);
    this.#retry = undefined;
    this.#tries++;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        if (!this.#asleep) resolve();
      }, wait);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = undefined;
  }

  /** Whether nobody sees the page, and it is to have no connection then. */
  #unseen(): boolean {
    return this.#options.whileVisible === true && pageHidden();
  }

  /** A page that comes back from sleep, or a network that does, is a reason to look at once. */
  #listen(): void {
    const wake = () => {
      this.#asleep = this.#unseen();
      this.#look();
    };
    const sleep = () => {
      this.#acks.leave();
      this.#asleep = true;
      this.#connection?.abort();
    };
    const listeners = {
      pageshow: wake,
      resume: wake,
      pagehide: sleep,
      freeze: sleep,
      online: () => {
        if (this.#state === "offline") this.#cutOff();
        this.#look();
      },
      offline: () => {
        this.#connection?.abort();
        this.#cutOff();
      },
      visibilitychange: () => {
        if (this.#unseen()) sleep();
        if (!pageVisible()) return;
        wake();
        this.#acks.shown();
      },
    };
    // Before the page's own listeners, which may close the stream: the last acknowledgement is to go first.
    followPage(listeners, { signal: this.#closing.signal, capture: true });
  }

  #look(): void {
    this.#checkAlive();
    this.#tries = 0;
    this.#wakeUp?.();
  }

  /** Says that no connection is heard, and whose fault it is. */
  #cutOff(): void {
    this.#setState(online() ? "reconnecting" : "offline");
  }

  #setState(state: StreamState, error?: HeraldError): void {
    if (state === this.#state) return;
    this.#state = state;
    callOut(() => this.#options.onState?.(state, error));
  }
}

/** The address of a stream without what lets it in. */
export function streamAddress({ url, topics = [], types = [], metadata = {} }: EventStreamOptions): string {
  const query = new URLSearchParams();
  for (const topic of topics) query.append("topic", topic);
  for (const type of types) query.append("type", type);
  for (const [key, values] of Object.entries(metadata)) {
    for (const value of [values].flat()) query.append(`metadata.${key}`, value);
  }
  return withQuery(url, query.toString());
}

/** The headers of the options, with a token when there is one. */
export async function authorized(
  { headers, token }: EventStreamOptions,
  renew: boolean,
): Promise<Record<string, string>> {
  const all = { ...(await headers?.()) };
  return token === undefined ? all : { ...all, authorization: `Bearer ${await token(renew)}` };
}

function withQuery(url: string, query: string): string {
  return query === "" ? url : `${url}${url.includes("?") ? "&" : "?"}${query}`;
}

/** Whether asking again would be answered the same. */
function isFinal(err: HeraldError): boolean {
  return err.status === 400 || err.status === 401 || err.status === 403;
}

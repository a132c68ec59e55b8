import { HeraldError } from "./error.js";

/** How acknowledgements are sent. */
export interface AckOptions {
  /** Where they go, such as "/api/sse/ack". */
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly headers: () => Promise<Record<string, string>>;
  readonly credentials: RequestCredentials;
  /** Whether somebody sees what comes. */
  readonly visible: () => boolean;
  /** Told of each that failed. */
  readonly onError: (err: unknown) => void;
}

/** The least time between two acknowledgements, in milliseconds. */
const leastInterval = 1000;
/** An answer that takes longer is not waited for, in milliseconds. */
const longestAnswer = 15_000;

/**
 * Acks says how far a stream's client has come, at the interval that the server
 * wants: the last seq that was handled, and whether somebody sees it. One is a
 * hint: of those that fail, only onError hears, and the next one says more. One
 * request is under way at a time, and none outlives its stream.
 */
export class Acks {
  readonly #options: AckOptions;
  /** The stream that the client is on; undefined when there is none to acknowledge. */
  #client: string | undefined;
  #interval = 0;
  /** The last that was handled. */
  #handled = 0;
  /** The last that the server knows of as handled, and as handled and seen. */
  #acked = 0;
  #seen = 0;
  #sentAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #request: AbortController | undefined;
  /** The page was shown while the request is under way. */
  #shownMeanwhile = false;

  constructor(options: AckOptions) {
    this.#options = options;
  }

  /** Begins for a stream. One that is resumed stands where the one before it ended. An interval of 0 asks for none. */
  open(client: string, interval: number, resumed: boolean): void {
    this.stop();
    if (!resumed) this.#handled = 0;
    this.#acked = 0;
    this.#seen = 0;
    if (!(interval > 0)) return;
    this.#client = client;
    this.#interval = Math.max(interval, leastInterval);
    this.#schedule(this.#interval);
  }

  /** Says that all up to the seq has been handled. */
  handled(seq: number): void {
    this.#handled = seq;
  }

  /** Says that somebody sees the page again: what came unseen is seen now. */
  shown(): void {
    if (this.#request !== undefined) this.#shownMeanwhile = true;
    else if (this.#unseen()) this.#schedule(0);
  }

  /** Says that the page goes away, so that no timer will run: what is new goes now or never. */
  leave(): void {
    const news = this.#handled > this.#acked || this.#unseen();
    if (news && this.#request === undefined && this.#wait() <= 0) void this.#send();
    if (this.#request === undefined) return;
    // It is the browser's now: the stream ends before the page does, and must not take it along.
    this.#request = undefined;
    this.#schedule(this.#interval);
  }

  /** Says that the stream has ended. */
  stop(): void {
    this.#client = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#request?.abort();
    this.#request = undefined;
    this.#shownMeanwhile = false;
  }

  /** Whether somebody sees what the server does not know as seen. */
  #unseen(): boolean {
    return this.#handled > this.#seen && this.#options.visible();
  }

  /** How long it is until the next may be sent. */
  #wait(): number {
    return this.#sentAt + leastInterval - performance.now();
  }

  #schedule(after: number): void {
    if (this.#client === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#send(), Math.max(after, this.#wait()));
  }

  async #send(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    clearTimeout(this.#timer);
    const request = new AbortController();
    this.#request = request;
    this.#sentAt = performance.now();
    const timeout = setTimeout(() => {
      request.abort(new DOMException("the server has not answered", "TimeoutError"));
    }, longestAnswer);
    request.signal.addEventListener("abort", () => {
      clearTimeout(timeout);
    });
    try {
      await this.#post(client, request.signal);
    } catch (err) {
      if (this.#request !== request) return;
      this.#options.onError(err);
      // The stream is gone, or was let in by what lets no acknowledgement in.
      if (err instanceof HeraldError && [401, 403, 404].includes(err.status)) this.stop();
    } finally {
      clearTimeout(timeout);
      if (this.#request === request) this.#next();
    }
  }

  #next(): void {
    this.#request = undefined;
    this.#schedule(this.#interval);
    if (this.#shownMeanwhile) this.shown();
    this.#shownMeanwhile = false;
  }

  async #post(client: string, signal: AbortSignal): Promise<void> {
    const headers = { ...(await this.#options.headers()), "content-type": "application/json" };
    signal.throwIfAborted();
    const seq = this.#handled;
    const visible = this.#options.visible();
    const response = await this.#options.fetch(this.#options.url, {
      method: "POST",
      headers,
      credentials: this.#options.credentials,
      body: JSON.stringify({ client_id: client, seq, visible }),
      keepalive: true, // so that one under way outlives its page
      signal,
    });
    if (!response.ok) throw await HeraldError.from(response);
    if (this.#client !== client) return;
    this.#acked = seq;
    if (visible) this.#seen = seq;
  }
}

import type { StreamEvent } from "@herald/client";
import { ask, type LogPage } from "./api";
import type { LogRecord } from "./record";
import type { Tail } from "./tail";

/** How many events from before the stream a tail begins with. */
const before = 50;
/** How long what is not known of events is gathered before the log is asked, in milliseconds. */
const gather = 700;
/** How many events the log is asked for at once; in a flood, the others are shown as the stream told of them. */
const most = 200;

type Ask = (path: string, signal: AbortSignal) => Promise<LogPage>;

/**
 * Follower fills a tail from a stream. A stream says what happened, and not to whom
 * or by whom, so that is read from the log, a little later and all at once.
 */
export class Follower {
  readonly #tail: Tail;
  readonly #query: string;
  readonly #ask: Ask;
  readonly #stopping = new AbortController();
  #unknown: number[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tail: Tail, user: string, types: readonly string[], asked: Ask = ask) {
    this.#tail = tail;
    this.#ask = asked;
    const query = new URLSearchParams();
    if (user !== "") query.set("user", user);
    for (const type of types) query.append("type", type);
    this.#query = query.toString();
  }

  /** Takes in what came on the stream. */
  take(event: StreamEvent): void {
    if (event.type === "stream.open") {
      if (event.data.resumed) return;
      this.#tail.clear(); // after a break that was too long, it is another part of the log
      void this.#begin(event.data.head);
      return;
    }
    if (!("seq" in event)) return;
    this.#tail.add({ ...event, recorded_at: "", actor: "" });
    this.#unknown.push(event.seq);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#learn();
    }, gather);
  }

  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
  }

  /** Reads what was in the log last when the stream began. What cannot be read is not worth a word: it is the past. */
  async #begin(head: number): Promise<void> {
    if (head === 0) return;
    const events = await this.#read(`before=${String(head + 1)}&limit=${String(before)}`);
    if (events.length > 0) this.#tail.addBefore(events.toReversed());
  }

  async #learn(): Promise<void> {
    const seqs = this.#unknown.slice(-most);
    this.#unknown = [];
    const [first] = seqs;
    if (first === undefined) return;
    const events = await this.#read(`after=${String(first - 1)}&order=asc&limit=${String(seqs.length)}`);
    if (events.length > 0) this.#tail.learn(events);
  }

  async #read(cursor: string): Promise<readonly LogRecord[]> {
    const path = `/api/events?${cursor}${this.#query === "" ? "" : `&${this.#query}`}`;
    try {
      const { events } = await this.#ask(path, this.#stopping.signal);
      return this.#stopping.signal.aborted ? [] : events;
    } catch {
      return []; // a row that is opened asks for itself, and says what is wrong
    }
  }
}

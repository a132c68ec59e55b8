import { HeraldError } from "@herald/client";
import { messageOf } from "../../live";
import { ask, type LogPage } from "../api";
import type { LogRecord } from "../record";
import { limits } from "./file";

/** What has been read of a job's timeline. */
export interface Read {
  readonly status: "reading" | "ready" | "failed" | "missing";
  /** All of its events so far, in their order. */
  readonly events: readonly LogRecord[];
  /** Why it could not be read on. */
  readonly error: string;
  /** There are more events than can be shown. */
  readonly cut: boolean;
}

type Ask = (path: string, signal: AbortSignal) => Promise<LogPage>;

/** How many events are asked for at once: as many as the server gives. */
const pageSize = 1000;

/** Reader reads all of a job's timeline, page by page, and goes on with what comes later. */
export class Reader {
  readonly #id: string;
  readonly #ask: Ask;
  readonly #most: number;
  #stopping = new AbortController();
  readonly #listeners = new Set<() => void>();
  #read: Read = { status: "reading", events: [], error: "", cut: false };
  #reading = false;
  #more = false;

  constructor(id: string, asked: Ask = ask, most: number = limits.events) {
    this.#id = encodeURIComponent(id);
    this.#ask = asked;
    this.#most = most;
  }

  readonly read = (): Read => this.#read;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Reads what is there and not read yet; when it is reading, it does so once more. */
  more(): void {
    this.#more = true;
    if (this.#reading) return;
    this.#reading = true;
    void this.#run(this.#stopping.signal);
  }

  /** Ends what is being read; more begins again. */
  stop(): void {
    this.#stopping.abort();
    this.#stopping = new AbortController();
    this.#reading = false;
  }

  async #run(stopped: AbortSignal): Promise<void> {
    try {
      while (this.#more) {
        this.#more = false;
        await this.#catchUp(stopped);
      }
      this.#put({ status: this.#read.events.length === 0 ? "missing" : "ready", error: "" });
    } catch (err) {
      if (stopped.aborted) return;
      if (err instanceof HeraldError && err.status === 404) this.#put({ status: "missing" });
      else this.#put({ status: "failed", error: messageOf(err) });
    }
    this.#reading = false;
  }

  async #catchUp(stopped: AbortSignal): Promise<void> {
    for (let next = this.#nextPath(); next !== "";) {
      const page = await this.#page(next, stopped);
      stopped.throwIfAborted();
      const known = this.#read.events.at(-1)?.seq ?? 0;
      const events = this.#read.events.concat(page.events.filter((e) => e.seq > known)).slice(0, this.#most);
      const cut = events.length === this.#most && page.next !== "";
      if (events.length > this.#read.events.length) this.#put({ events, cut });
      next = cut ? "" : page.next;
    }
  }

  #nextPath(): string {
    const last = this.#read.events.at(-1)?.seq;
    if (last === undefined) return `/api/jobs/${this.#id}/events?limit=${String(pageSize)}`;
    return this.#read.cut ? "" : this.#inTheLog(`&after=${String(last)}`);
  }

  /** Of a job that was deleted, the log still tells. */
  async #page(path: string, stopped: AbortSignal): Promise<LogPage> {
    try {
      return await this.#ask(path, stopped);
    } catch (err) {
      if (!(err instanceof HeraldError && err.status === 404) || this.#read.events.length > 0) throw err;
      return await this.#ask(this.#inTheLog(""), stopped);
    }
  }

  #inTheLog(cursor: string): string {
    return `/api/events?job=${this.#id}&order=asc&limit=${String(pageSize)}${cursor}`;
  }

  #put(change: Partial<Read>): void {
    this.#read = { ...this.#read, ...change };
    for (const listener of this.#listeners) listener();
  }
}

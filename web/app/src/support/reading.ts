import { messageOf } from "../live";
import { ask, type LogPage } from "./api";
import { type Filters, pageAddress } from "./filters";
import type { LogRecord } from "./record";

/** What has been read of the log. */
export interface Found {
  readonly status: "reading" | "ready" | "failed";
  readonly events: readonly LogRecord[];
  /** Where the older ones are; empty when there are none. */
  readonly next: string;
  /** Why it could not be read on. */
  readonly error: string;
  /** The last seq that is no longer kept. */
  readonly floor: number;
  /** It is still looking, in stretches in which nothing was. */
  readonly searching: boolean;
}

const firstPage = 100;
const olderPage = 500;
/** How many events are shown at most; beyond that, an export is the better way. */
export const mostShown = 10_000;

type Ask = (path: string, signal: AbortSignal) => Promise<LogPage>;

/** Reading looks for events and tells what it has found so far. It can be stopped at any time. */
export class Reading {
  readonly #ask: Ask;
  readonly #listeners = new Set<() => void>();
  #found: Found = { status: "reading", events: [], next: "", error: "", floor: 0, searching: false };
  /** Of what is being read now; what was read for another is of no matter. */
  #page: AbortController | undefined;
  /** What is still to be read of that; undefined before the first page. */
  #owed: { readonly path: string; readonly want: number } | undefined;
  readonly #filters: Filters;

  constructor(filters: Filters, asked: Ask = ask) {
    this.#filters = filters;
    this.#ask = asked;
  }

  readonly found = (): Found => this.#found;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Reads the first page, or tries again what could not be read. */
  start(): void {
    this.#owed ??= firstOf(this.#filters);
    void this.#read(this.#owed.path, this.#owed.want);
  }

  /** Reads the next page of older events. */
  older(): void {
    const { status, next, events } = this.#found;
    if (status !== "ready" || next === "" || events.length >= mostShown) return;
    void this.#read(withLimit(next, olderPage), olderPage);
  }

  /** Ends a search that goes on; what was found stays. */
  pause(): void {
    this.#page?.abort();
  }

  /** Ends all of it, until it is started again. */
  stop(): void {
    const page = this.#page;
    this.#page = undefined;
    page?.abort();
  }

  /** Reads on until so many more have been found, since a page may be short when much had to be looked at. */
  async #read(path: string, want: number): Promise<void> {
    const page = new AbortController();
    this.#page = page;
    this.#owed = { path, want };
    const put = (change: Partial<Found>) => {
      if (this.#page === page) this.#put(change);
    };
    put({ status: "reading", error: "" });
    try {
      let next = path;
      for (let missing = want; next !== "";) {
        const found = await this.#ask(next, page.signal);
        if (page.signal.aborted) break;
        missing -= found.events.length;
        next = want === 0 ? "" : found.next;
        if (this.#page === page) this.#owed = { path: next, want: missing };
        const searching = found.partial === true && missing > 0 && next !== "";
        put({ events: this.#found.events.concat(found.events), next, floor: found.floor, searching });
        if (!searching) break;
      }
      put({ status: "ready", searching: false });
    } catch (err) {
      if (page.signal.aborted) put({ status: "ready", next: this.#owed.path, searching: false });
      else put({ status: "failed", error: messageOf(err), searching: false });
    }
  }

  #put(change: Partial<Found>): void {
    this.#found = { ...this.#found, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function firstOf(filters: Filters): { path: string; want: number } {
  if (filters.event === 0) return { path: pageAddress(filters, Date.now(), firstPage), want: firstPage };
  return { path: `/api/events?after=${String(filters.event - 1)}&order=asc&limit=1`, want: 0 };
}

function withLimit(path: string, limit: number): string {
  const [at = "", query = ""] = path.split("?", 2);
  const said = new URLSearchParams(query);
  said.set("limit", String(limit));
  return `${at}?${said.toString()}`;
}

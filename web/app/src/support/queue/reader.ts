import { ask } from "../api";
import type { Entry, EntryPage, Overview } from "./api";
import { everything, queryOfWanted, type Wanted } from "./wanted";

/** What is shown: all queues, and some pages of entries. */
export interface Looked {
  readonly overview: Overview;
  readonly entries: readonly Entry[];
  /** There may be more than these. */
  readonly more: boolean;
  /** Not all was looked at in time. */
  readonly partial: boolean;
}

const pageSize = 50;
/** How many entries are listed at most: all of them are read again each time. */
export const mostListed = 500;

type Ask = (path: string, signal: AbortSignal) => Promise<unknown>;

/** QueueReader reads the queues and the newest of the entries that are wanted, as many pages as its reader has asked for. */
export class QueueReader {
  readonly #query: string;
  readonly #ask: Ask;
  #pages = 1;

  constructor(wanted: Wanted, asked: Ask = ask) {
    this.#query = queryOfWanted({ ...everything, ...wanted, open: 0 });
    this.#ask = asked;
  }

  /** Reads one page more from now on. */
  more(): void {
    this.#pages = Math.min(this.#pages + 1, mostListed / pageSize);
  }

  readonly read = async (signal: AbortSignal): Promise<Looked> => {
    const overview = (await this.#ask("/api/queue", signal)) as Overview;
    const query = new URLSearchParams(this.#query);
    query.set("limit", String(pageSize));
    const entries: Entry[] = [];
    for (let page = 1; ; page++) {
      const read = (await this.#ask(`/api/queue/entries?${query.toString()}`, signal)) as EntryPage;
      entries.push(...read.entries);
      if (read.next === "" || page === this.#pages)
        return { overview, entries, more: read.next !== "", partial: read.partial === true };
      query.set("before", read.next);
    }
  };
}

import { ask, type Connection, type ConnectionPage } from "./api";

/** Which streams are shown, as the address says it. */
export interface Wanted {
  readonly user: string;
  readonly node: string;
  readonly ended: boolean;
}

/** Reads the query of an address. */
export function parseWanted(query: string): Wanted {
  const said = new URLSearchParams(query);
  const ended = said.get("ended") === "true";
  return { user: (said.get("user") ?? "").trim(), node: ended ? "" : (said.get("node") ?? "").trim(), ended };
}

/** The query of an address that says the same. A stream that has ended is no node's. */
export function queryOfWanted({ user, node, ended }: Wanted): string {
  const query = new URLSearchParams();
  if (user !== "") query.set("user", user);
  if (node !== "" && !ended) query.set("node", node);
  if (ended) query.set("ended", "true");
  return query.toString();
}

/** What is shown: some pages of streams, and what is open in all. */
export interface Listed {
  readonly connections: readonly Connection[];
  /** There are more than these. */
  readonly more: boolean;
  readonly statistics: ConnectionPage["statistics"];
}

const pageSize = 100;
/** How many streams are listed at most: all of them are read again each time. */
export const mostListed = 1000;

type Ask = (path: string, signal: AbortSignal) => Promise<ConnectionPage>;

/** Lister reads the newest of the streams that are wanted, as many pages as its reader has asked for. */
export class Lister {
  readonly #wanted: Wanted;
  readonly #ask: Ask;
  #most = pageSize;

  constructor(wanted: Wanted, asked: Ask = ask) {
    this.#wanted = wanted;
    this.#ask = asked;
  }

  /** Reads one page more from now on. */
  more(): void {
    this.#most = Math.min(this.#most + pageSize, mostListed);
  }

  readonly read = async (signal: AbortSignal): Promise<Listed> => {
    const { user, node, ended } = this.#wanted;
    const query = new URLSearchParams({ limit: String(pageSize), [ended ? "ended" : "live"]: "true" });
    if (user !== "") query.set("user", user);
    if (node !== "") query.set("node", node);
    const connections: Connection[] = [];
    let statistics: ConnectionPage["statistics"];
    while (connections.length < this.#most) {
      const page = await this.#ask(`/api/connections?${query.toString()}`, signal);
      connections.push(...page.connections);
      statistics ??= page.statistics;
      if (page.next === "") return { connections, statistics, more: false };
      query.set("before", page.next);
    }
    return { connections, statistics, more: true };
  };
}

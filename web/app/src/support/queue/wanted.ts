import type { EntryState } from "./api";

/** The states, as an entry comes to them. Herald has none that are pending: these show when there are some. */
export const states: readonly EntryState[] = [
  "pending",
  "scheduled",
  "available",
  "running",
  "retryable",
  "completed",
  "cancelled",
  "discarded",
];

/** Which entries are shown, as the address says it; what is empty is of no matter. */
export interface Wanted {
  readonly state: EntryState | "";
  readonly queue: string;
  readonly kind: string;
  /** The entry that is open; 0 for none. */
  readonly open: number;
}

export const everything: Wanted = { state: "", queue: "", kind: "", open: 0 };

/** Reads the query of an address. What is malformed there counts as not said. */
export function parseWanted(query: string): Wanted {
  const said = new URLSearchParams(query);
  const state = said.get("state") ?? "";
  const open = Number(said.get("open") ?? "0");
  return {
    state: states.find((s) => s === state) ?? "",
    queue: said.get("queue") ?? "",
    kind: said.get("kind") ?? "",
    open: Number.isSafeInteger(open) && open > 0 ? open : 0,
  };
}

/** The query of an address that says the same; empty for everything. */
export function queryOfWanted({ state, queue, kind, open }: Wanted): string {
  const said = new URLSearchParams();
  if (state !== "") said.set("state", state);
  if (queue !== "") said.set("queue", queue);
  if (kind !== "") said.set("kind", kind);
  if (open > 0) said.set("open", String(open));
  return said.toString();
}

/** The address of the queue's page that shows what is wanted. */
export function queuePlace(wanted: Partial<Wanted>): string {
  const query = queryOfWanted({ ...everything, ...wanted });
  return `/support/queue${query === "" ? "" : `?${query}`}`;
}

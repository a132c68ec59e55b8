import type { Job, JobFilter } from "@herald/client";
import { hasEnded } from "./store";

/** Which of the jobs are shown, as it stands in the page's address. */
export interface Shown {
  readonly state: "all" | "active" | "ended" | "failed";
  /** Empty: all. */
  readonly kind: string;
  /** In the title, in small letters or large; empty: all. */
  readonly text: string;
}

export const all: Shown = { state: "all", kind: "", text: "" };

const longest = 200;

/** Reads the address. What is of no use there counts as nothing. */
export function parseShown(search: string): Shown {
  const query = new URLSearchParams(search);
  const state = query.get("show");
  return {
    state: state === "active" || state === "ended" || state === "failed" ? state : "all",
    kind: (query.get("kind") ?? "").slice(0, 80),
    text: (query.get("text") ?? "").slice(0, longest),
  };
}

/** The query that says so in the address. */
export function queryOf({ state, kind, text }: Shown): string {
  const query = new URLSearchParams();
  if (state !== "all") query.set("show", state);
  if (kind !== "") query.set("kind", kind);
  if (text.trim() !== "") query.set("text", text);
  return query.toString();
}

/** The address at which the jobs are shown so. */
export function addressOf(shown: Shown): string {
  const query = queryOf(shown);
  return query === "" ? "/" : `/?${query}`;
}

export function isAll({ state, kind, text }: Shown): boolean {
  return state === "all" && kind === "" && text.trim() === "";
}

export function matches({ state, kind, text }: Shown, job: Job): boolean {
  const fits = { all: true, active: !hasEnded(job), ended: hasEnded(job), failed: job.state === "failed" }[state];
  return fits && (kind === "" || job.kind === kind) && job.title.toLowerCase().includes(text.trim().toLowerCase());
}

/** What to ask the server for. */
export function askedFor({ state, kind, text }: Shown): JobFilter {
  return {
    ...(state !== "all" && { state }),
    ...(kind !== "" && { kind }),
    ...(text.trim() !== "" && { text: text.trim() }),
  };
}

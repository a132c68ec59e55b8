// What a reader looks for in the log, as the page's address says it and as the API is asked for it.

/** A time that a search goes back, by its name in the address. */
export type Preset = "1h" | "24h" | "7d" | "30d";

const hours: Record<Preset, number> = { "1h": 1, "24h": 24, "7d": 168, "30d": 720 };

/** What is looked for; a part that is empty is of no matter. */
export interface Filters {
  readonly user: string;
  readonly job: string;
  /** Types, or beginnings of types with a star; none when `problems` is set. */
  readonly types: readonly string[];
  /** Only failures and the like. */
  readonly problems: boolean;
  readonly states: readonly string[];
  readonly preset: Preset | "";
  /** An exact range, as instants; empty when there is a preset. */
  readonly since: string;
  readonly until: string;
  readonly text: string;
  /** One event alone, by its seq; nothing else counts then. */
  readonly event: number;
}

export const noFilters: Filters = {
  user: "",
  job: "",
  types: [],
  problems: false,
  states: [],
  preset: "",
  since: "",
  until: "",
  text: "",
  event: 0,
};

/** Reads the query of an address. What is malformed there counts as not said. */
export function parseFilters(query: string): Filters {
  const said = new URLSearchParams(query);
  const one = (name: string) => (said.get(name) ?? "").trim();
  const many = (name: string) => [...new Set(said.getAll(name).filter((v) => v !== ""))];
  const range = one("range");
  const preset = isPreset(range) ? range : "";
  const problems = one("problems") === "true";
  const event = Number(one("event"));
  return {
    user: one("user"),
    job: one("job"),
    types: problems ? [] : many("type"),
    problems,
    states: many("state"),
    preset,
    since: preset === "" ? instantIn(one("since")) : "",
    until: preset === "" ? instantIn(one("until")) : "",
    text: one("text"),
    event: Number.isSafeInteger(event) && event > 0 ? event : 0,
  };
}

/** The query of an address that says the same; empty for no filters. */
export function queryOf(f: Filters): string {
  const query = new URLSearchParams();
  const add = (name: string, value: string) => {
    if (value !== "") query.append(name, value);
  };
  if (f.event > 0) return `event=${String(f.event)}`;
  add("user", f.user);
  add("job", f.job);
  for (const type of f.types) add("type", type);
  add("problems", f.problems ? "true" : "");
  for (const state of f.states) add("state", state);
  add("range", f.preset);
  add("since", f.since);
  add("until", f.until);
  add("text", f.text);
  return query.toString();
}

/** The path of a page of the log for support that shows what meets the filters. */
export function searchPlace(f: Partial<Filters>): string {
  const query = queryOf({ ...noFilters, ...f });
  return `/support${query === "" ? "" : `?${query}`}`;
}

/** How far back a search for a text goes that says neither when nor whose. */
export const textPreset: Preset = "7d";

/** Reports whether the search is bounded by textPreset alone: the server reads no whole log for a text. */
export function boundedForText(f: Filters): boolean {
  return f.text !== "" && f.user === "" && f.job === "" && f.preset === "" && f.since === "";
}

/** From when on events are looked for, at the time `now`; empty for always. */
export function sinceOf(f: Filters, now: number): string {
  const preset = boundedForText(f) ? textPreset : f.preset;
  return preset === "" ? f.since : new Date(now - hours[preset] * 3_600_000).toISOString();
}

/** The address of the newest page of what meets the filters. */
export function pageAddress(f: Filters, now: number, limit: number): string {
  const query = new URLSearchParams(queryOf({ ...f, preset: "", since: sinceOf(f, now) }));
  if (query.has("problems")) {
    query.delete("problems");
    query.set("errors", "true");
  }
  query.set("limit", String(limit));
  return `/api/events?${query.toString()}`;
}

/** The types that `problems` stands for, as the server has them. */
export const problemTypes = ["job.failed", "job.retrying", "job.stalled", "job.late_report"] as const;

/** The job that exports all that meets the filters. */
export function exportOf(f: Filters, format: "csv" | "ndjson", now = Date.now()): object {
  const params: Record<string, string | readonly string[]> = {};
  const set = (name: string, value: string | readonly string[]) => {
    if (value.length > 0) params[name] = value;
  };
  set("user", f.user);
  set("job", f.job);
  set("type", f.problems ? problemTypes : f.types);
  set("state", f.states);
  set("since", sinceOf(f, now));
  set("until", f.until);
  set("text", f.text);
  return { kind: "export", title: titleOf(f), args: { dataset: "events", params, format } };
}

function titleOf(f: Filters): string {
  const parts = [
    f.problems ? "problems" : f.types.join(", "),
    f.user === "" ? "" : `of ${f.user}`,
    f.job === "" ? "" : `of job ${f.job.slice(0, 8)}`,
    f.text === "" ? "" : `with “${f.text}”`,
  ].filter((part) => part !== "");
  return `Events ${parts.join(" ")}`.trim().slice(0, 120);
}

/** How many filters are set. */
export function countFilters(f: Filters): number {
  const set = [f.user, f.job, f.types, f.problems ? "yes" : "", f.states, f.preset, f.since, f.until, f.text];
  return set.filter((part) => part.length > 0).length;
}

/** An instant as a field of a form shows it, in the reader's zone: 2026-01-02T13:00. */
export function localOf(instant: string): string {
  if (instant === "") return "";
  const at = new Date(instant);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What such a field says, as an instant; empty when it says nothing. */
export function instantIn(text: string): string {
  const at = Date.parse(text);
  return text === "" || Number.isNaN(at) ? "" : new Date(at).toISOString();
}

function isPreset(text: string): text is Preset {
  return Object.hasOwn(hours, text);
}

import type { Stretch } from "./history";

/** How much of the past is looked at, in milliseconds. */
export const spans = {
  "10m": 600_000,
  "1h": 3_600_000,
  "6h": 21_600_000,
  "24h": 86_400_000,
  "7d": 604_800_000,
} as const;
export type Span = keyof typeof spans;

/** The moment that is looked at, and the stretch around it; it stands in the address. */
export interface ThenView {
  readonly span: Span;
  /** When the stretch begins; undefined: it is still to be found. */
  readonly from: number | undefined;
  /** The moment: a time, or an event that is still to be looked up. */
  readonly at: { readonly time: number } | { readonly seq: number } | undefined;
  readonly truth: boolean;
}

export function parseThen(query: string): ThenView {
  const said = new URLSearchParams(query);
  const span = said.get("span") ?? "";
  return {
    span: Object.hasOwn(spans, span) ? (span as Span) : "1h",
    from: timeOf(said.get("from")),
    at: momentOf(said.get("at") ?? ""),
    truth: said.get("truth") === "1",
  };
}

export function thenQuery({ span, from, at, truth }: ThenView): string {
  const said = new URLSearchParams();
  if (span !== "1h") said.set("span", span);
  if (from !== undefined) said.set("from", new Date(from).toISOString());
  if (at !== undefined) said.set("at", "time" in at ? new Date(at.time).toISOString() : String(at.seq));
  if (truth) said.set("truth", "1");
  return said.toString();
}

/** The stretch of the view, and the moment in it; its end unless the address says another. */
export function periodOf({ from, span, at }: ThenView & { readonly from: number }): { period: Stretch; at: number } {
  const period = { from, to: from + spans[span] };
  const time = at !== undefined && "time" in at ? at.time : period.to;
  return { period, at: Math.min(Math.max(time, period.from), period.to) };
}

/** A stretch of the length that has the moment in it, with more in front of it than behind it. */
export function around(time: number, span: Span): number {
  return Math.round(time - spans[span] * 0.7);
}

function momentOf(text: string): ThenView["at"] {
  if (/^\d{1,15}$/.test(text) && Number(text) > 0) return { seq: Number(text) };
  const time = timeOf(text);
  return time === undefined ? undefined : { time };
}

/** Times that a date can hold, and no others. */
function timeOf(text: string | null): number | undefined {
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) || Math.abs(time) > 8e15 ? undefined : time;
}

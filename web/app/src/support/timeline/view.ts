/** How a timeline is looked at; it stands in the address. */
export interface View {
  readonly errorsOnly: boolean;
  readonly clock: Clock;
  /** The seqs of what is open; of folded progress that of its first event, below zero. */
  readonly open: readonly number[];
}

/** Which times stand beside the events: of the day, since the job began, or since the event before. */
export type Clock = "day" | "start" | "before";

/** So many may be open at once; the one opened first closes when there are more. */
const mostOpen = 20;

export function parseView(query: string): View {
  const said = new URLSearchParams(query);
  const clock = said.get("clock");
  const open = (said.get("open") ?? "").split(".").map(Number);
  return {
    errorsOnly: said.get("errors") === "1",
    clock: clock === "start" || clock === "before" ? clock : "day",
    open: open.filter((seq) => Number.isSafeInteger(seq) && seq !== 0).slice(-mostOpen),
  };
}

export function queryOf({ errorsOnly, clock, open }: View): string {
  const said = new URLSearchParams();
  if (errorsOnly) said.set("errors", "1");
  if (clock !== "day") said.set("clock", clock);
  if (open.length > 0) said.set("open", open.join("."));
  return said.toString();
}

/** The view with what has the seq opened, or closed. */
export function toggled(view: View, seq: number): View {
  const open = view.open.includes(seq) ? view.open.filter((s) => s !== seq) : [...view.open, seq].slice(-mostOpen);
  return { ...view, open };
}

/** The view with folded progress opened, or closed with all that is open in it. */
export function foldToggled(
  view: View,
  fold: { readonly seq: number; readonly lastSeq: number; readonly open: boolean },
): View {
  if (!fold.open) return toggled(view, -fold.seq);
  const open = view.open.filter((s) => s !== -fold.seq && (s < fold.seq || s > fold.lastSeq));
  return { ...view, open };
}

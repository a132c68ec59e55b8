import { type ReactElement, useMemo } from "react";
import { Choice } from "../../components/choice";
import { count } from "../../format";
import { replaceQuery, useQuery } from "../../router";
import type { LogRecord } from "../record";
import { VirtualList } from "../virtual-list";
import { lastJob } from "./job-head";
import { Overview } from "./overview";
import { type Fold, type Row, rowsOf } from "./rows";
import { type Around, TimelineRow } from "./timeline-rows";
import { type Clock, foldToggled, parseView, queryOf, toggled, type View } from "./view";

const clocks: readonly { value: Clock; label: string; title: string }[] = [
  { value: "day", label: "Clock", title: "The time of day" },
  { value: "start", label: "From start", title: "Since the first event" },
  { value: "before", label: "Between", title: "Since the event before" },
];

interface TimelineViewProps {
  readonly events: readonly LogRecord[];
  readonly saved: boolean;
  /** Where the events come from, and whether more will. */
  readonly status: string;
}

/** A timeline with what is chosen of it; the choice stands in the address. */
export function TimelineView({ events, saved, status }: TimelineViewProps): ReactElement {
  const query = useQuery();
  const view = useMemo(() => parseView(query), [query]);
  const open = useMemo(() => new Set(view.open), [view]);
  const rows = useMemo(() => rowsOf(events, { errorsOnly: view.errorsOnly, open }), [events, view.errorsOnly, open]);
  const owner = useMemo(() => lastJob(events)?.owner ?? "", [events]);
  const around: Around = useMemo(
    () => ({ events, clock: view.clock, owner, saved, open, onToggle, onFold }),
    [events, view.clock, owner, saved, open],
  );
  return (
    <section aria-label="Timeline" className="rounded-2xl bg-card ring-1 ring-line">
      <Overview events={events} />
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2 border-b border-line px-4 py-3 text-sm sm:px-5">
        <label className="inline-flex cursor-pointer items-center gap-2">
          <input
            type="checkbox"
            checked={view.errorsOnly}
            onChange={(event) => {
              show({ ...view, errorsOnly: event.target.checked });
            }}
            className="size-4 accent-accent"
          />
          Problems only
        </label>
        <Choice
          legend="Times"
          hideLegend
          options={clocks}
          value={view.clock}
          onChange={(clock) => {
            show({ ...view, clock });
          }}
        />
        <p role="status" className="ms-auto text-soft tabular-nums">
          {count(events.length)} {events.length === 1 ? "event" : "events"} · {status}
        </p>
      </div>
      {rows.some((row) => row.kind === "event" || row.kind === "folded") ? (
        <VirtualList label="Events" items={rows} keyOf={keyOf}>
          {(row) => <TimelineRow row={row} around={around} />}
        </VirtualList>
      ) : (
        <p className="px-5 py-10 text-center text-sm text-soft">Nothing went wrong, as far as the log knows.</p>
      )}
    </section>
  );
}

function keyOf(row: Row): number {
  return row.key;
}

function show(view: View): void {
  replaceQuery(queryOf(view));
}

function onToggle(seq: number): void {
  show(toggled(parseView(location.search), seq));
}

function onFold(fold: Fold): void {
  show(foldToggled(parseView(location.search), fold));
}

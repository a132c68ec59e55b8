import { type KeyboardEvent, type ReactElement, useMemo } from "react";
import { shortTime } from "../../format";
import { sentenceOf, type Severity } from "../sentences";
import type { History, Stretch } from "./history";

interface MomentsProps {
  readonly history: History;
  readonly online: readonly Stretch[];
  readonly at: number;
  /** The moment in words. */
  readonly words: string;
  readonly onAt: (at: number) => void;
  readonly onStep: (onward: boolean) => void;
}

/** How many marks the band has room for. */
const places = 240;
const colours: Record<Severity, string> = {
  info: "bg-edge",
  good: "bg-accent",
  warning: "bg-warn-fill",
  bad: "bg-bad",
};
const ranks: Record<Severity, number> = { info: 0, good: 1, warning: 2, bad: 3 };

/** The stretch as a band: when somebody was there, what happened when, and the moment, which the slider moves. */
export function Moments({ history, online, at, words, onAt, onStep }: MomentsProps): ReactElement {
  const { period } = history;
  const marks = useMemo(() => marksOf(history), [history]);
  const share = (time: number) => Math.min(Math.max((time - period.from) / (period.to - period.from), 0), 1) * 100;
  const keys = (event: KeyboardEvent) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    onStep(event.key === "ArrowRight");
  };
  return (
    <div>
      <div className="relative">
        <div
          aria-hidden="true"
          className="relative h-10 overflow-hidden rounded-lg bg-[repeating-linear-gradient(-45deg,var(--color-well)_0_5px,var(--color-line)_5px_7px)] ring-1 ring-line ring-inset"
        >
          {online.map(({ from, to }) => (
            <span
              key={from}
              className="absolute inset-y-0 border-x border-accent/40 bg-tint"
              style={{ left: `${String(share(from))}%`, right: `${String(100 - share(to))}%` }}
            />
          ))}
          {marks.map(({ place, severity }) => (
            <span
              key={place}
              className={`absolute w-0.5 -translate-x-1/2 rounded-full ${severity === "info" ? "inset-y-3.5" : "inset-y-1.5"} ${colours[severity]}`}
              style={{ left: `${String(((place + 0.5) / places) * 100)}%` }}
            />
          ))}
          <span
            className="absolute inset-y-0 w-0.5 -translate-x-1/2 bg-ink"
            style={{ left: `${String(share(at))}%` }}
          />
        </div>
        <input
          type="range"
          aria-label="Moment"
          aria-valuetext={words}
          min={period.from}
          max={period.to}
          step="any"
          value={at}
          onChange={(event) => {
            onAt(Number(event.target.value));
          }}
          onKeyDown={keys}
          className="absolute inset-0 h-10 w-full cursor-ew-resize appearance-none rounded-lg bg-transparent [&::-moz-range-thumb]:opacity-0 [&::-webkit-slider-thumb]:h-10 [&::-webkit-slider-thumb]:w-2 [&::-webkit-slider-thumb]:appearance-none [&::-webkit-slider-thumb]:opacity-0"
        />
      </div>
      <div className="mt-1 flex justify-between gap-3 text-xs text-faint tabular-nums">
        <span>{shortTime(new Date(period.from).toISOString())}</span>
        <span className="hidden items-center gap-3 sm:flex">
          <Key className="bg-tint ring-1 ring-accent/40" text="connected" />
          <Key
            className="bg-[repeating-linear-gradient(-45deg,var(--color-well)_0_2px,var(--color-edge)_2px_3px)]"
            text="offline"
          />
        </span>
        <span>{shortTime(new Date(period.to).toISOString())}</span>
      </div>
    </div>
  );
}

function Key({ className, text }: { readonly className: string; readonly text: string }): ReactElement {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span aria-hidden="true" className={`h-2.5 w-4 rounded-xs ${className}`} />
      {text}
    </span>
  );
}

/** Where something happened, and the worst of it in each place. */
function marksOf({ period, events }: History): { place: number; severity: Severity }[] {
  const marks = new Map<number, Severity>();
  for (const event of events) {
    const share = (Date.parse(event.recorded_at) - period.from) / (period.to - period.from);
    const place = Math.min(Math.max(Math.floor(share * places), 0), places - 1);
    const { severity } = sentenceOf(event);
    const old = marks.get(place);
    if (old === undefined || ranks[severity] > ranks[old]) marks.set(place, severity);
  }
  return [...marks].map(([place, severity]) => ({ place, severity }));
}

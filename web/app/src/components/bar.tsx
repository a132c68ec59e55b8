import type { ReactElement } from "react";
import type { Tone } from "../progress";

interface BarProps {
  /** The share done, 0 to 1; undefined while nothing is known, which shows as movement; as stripes where nothing moves. */
  readonly share: number | undefined;
  /** What the bar measures, for screen readers. */
  readonly label: string;
  readonly tone?: Tone;
  /** A bar with another run does not slide to its place, it starts there. */
  readonly run?: number;
}

export const fills: Record<Tone, string> = {
  accent: "bg-accent",
  warn: "bg-warn-fill",
  still: "bg-edge",
  bad: "bg-bad",
};

/** A progress bar. */
export function Bar({ share, label, tone = "accent", run = 0 }: BarProps): ReactElement {
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === undefined ? undefined : Math.floor(share * 100 + 1e-9)}
      className="h-2.5 overflow-hidden rounded-full bg-well rtl:-scale-x-100"
    >
      {share === undefined ? (
        <div
          className={`h-full rounded-full ${tone === "accent" ? "w-1/3 animate-sweep bg-edge motion-reduce:w-full motion-reduce:bg-transparent motion-reduce:bg-(image:--stripes)" : "bg-(image:--stripes)"}`}
        />
      ) : (
        <div
          key={run}
          className={`h-full rounded-full transition-transform duration-300 ease-linear ${fills[tone]}`}
          style={{ transform: `translateX(${String((share - 1) * 100)}%)` }}
        />
      )}
    </div>
  );
}

import { type ReactElement, useState } from "react";
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
        <Fill key={run} share={share} className={`rounded-full ${fills[tone]}`} />
      )}
    </div>
  );
}

interface FillProps {
  /** How much of what is around it is filled, 0 to 1. */
  readonly share: number;
  readonly className: string;
}

/** What fills a bar. It slides to its place, if that is far enough to be seen: each slide costs a layer of its own. */
export function Fill({ share, className }: FillProps): ReactElement {
  const [{ at, slides }, setMove] = useState({ at: share, slides: false });
  if (at !== share) setMove({ at: share, slides: Math.abs(share - at) >= leastSlide });
  return (
    <div
      className={`h-full ${slides ? "transition-transform duration-300 ease-linear" : ""} ${className}`}
      style={{ transform: `translateX(${String((share - 1) * 100)}%)` }}
    />
  );
}

/** Of a bar's length: some three pixels of a card's. */
const leastSlide = 0.005;

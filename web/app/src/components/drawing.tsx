import type { ReactElement } from "react";
import { type Line, type Spot, tickLabel, ticksOf } from "../curve";
import { percent } from "../format";
import type { Range } from "../progress";

const height = 176;
/** What is left for the labels below, and so that a full line is not cut. */
const below = 22;
const above = 8;
/** So that the dot at the right end is not cut. */
const beside = 6;
/** What the labels of the shares take, so that no line runs through them. */
const labels = 40;
const shares = [0, 0.5, 1];

/** How much of the drawing's time lies before the place, so many pixels from its left: 0 to 1. */
export function placeOf(pixels: number, width: number): number {
  return Math.min(Math.max((pixels - labels) / Math.max(width - labels - beside, 1), 0), 1);
}

interface DrawingProps {
  readonly width: number;
  readonly lines: readonly Line[];
  /** The time from the left end to the right. */
  readonly span: number;
  readonly sofar: number;
  readonly left: Range | undefined;
  /** What the pointer is at. */
  readonly spot: Spot | undefined;
}

/** The lines over time. The last attempt's stands out; dashes lead to where its end is expected. */
export function Drawing({ width, lines, span, sofar, left, spot }: DrawingProps): ReactElement {
  const x = (ms: number) => labels + (ms / span) * (width - labels - beside);
  const y = (share: number) => above + (1 - share) * (height - above - below);
  const at = ({ at, share }: Spot) => `${x(at).toFixed(1)} ${y(share).toFixed(1)}`;
  const path = (spots: readonly Spot[]) => spots.map((s, i) => `${i === 0 ? "M" : "L"}${at(s)}`).join("");
  const last = lines.at(-1);
  const end = last?.spots.at(-1);
  const reached = end === undefined ? undefined : { at: Math.max(end.at, sofar), share: end.share };
  return (
    <svg
      width={width}
      height={height}
      viewBox={`0 0 ${String(width)} ${String(height)}`}
      aria-hidden="true"
      className="block max-w-full text-xs tabular-nums [direction:ltr]"
    >
      {shares.map((share) => (
        <line key={share} x1={labels} x2={width} y1={y(share)} y2={y(share)} className="stroke-line" />
      ))}
      {shares.map((share) => (
        <text key={share} x={labels - 8} y={y(share) + 4} textAnchor="end" className="fill-faint">
          {percent(share)}
        </text>
      ))}
      {ticksOf(span, width < 420 ? 3 : 6).map((tick) => (
        <g key={tick}>
          <line x1={x(tick)} x2={x(tick)} y1={y(0)} y2={y(0) + 4} className="stroke-edge" />
          <text x={x(tick)} y={height - 5} textAnchor={x(tick) > width - 24 ? "end" : "middle"} className="fill-faint">
            {tickLabel(tick)}
          </text>
        </g>
      ))}
      {lines.slice(0, -1).map(({ attempt, spots }) => (
        <path
          key={attempt}
          d={path(spots)}
          fill="none"
          strokeWidth="1.5"
          strokeLinejoin="round"
          className="stroke-edge"
        />
      ))}
      {reached !== undefined && left !== undefined && (
        <g>
          <path
            d={`M${at(reached)}L${at({ at: sofar + left.low, share: 1 })}L${at({ at: sofar + left.high, share: 1 })}Z`}
            className="fill-accent/12"
          />
          {[left.low, left.high].map((ms, i) => (
            <path
              key={i}
              d={path([reached, { at: sofar + ms, share: 1 }])}
              fill="none"
              strokeDasharray="3 4"
              className="stroke-accent/70"
            />
          ))}
        </g>
      )}
      {last !== undefined && end !== undefined && reached !== undefined && (
        <>
          <path
            d={`${path([...last.spots, reached])}L${at({ at: reached.at, share: 0 })}L${at({ at: 0, share: 0 })}Z`}
            className="fill-accent/8"
          />
          <path
            d={path([...last.spots, reached])}
            fill="none"
            strokeWidth="2"
            strokeLinejoin="round"
            className="stroke-accent"
          />
          <circle cx={x(reached.at)} cy={y(reached.share)} r="3.5" className="fill-accent" />
        </>
      )}
      {spot !== undefined && (
        <>
          <line x1={x(spot.at)} x2={x(spot.at)} y1={above} y2={y(0)} className="stroke-edge" />
          <circle cx={x(spot.at)} cy={y(spot.share)} r="4" className="fill-card stroke-accent" strokeWidth="2" />
        </>
      )}
    </svg>
  );
}

import type { CurvePoint, Job } from "@herald/client";
import { type PointerEvent, type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { isWorthDrawing, type Line, linesOf, nearest, pointOf, rowsOf, spanOf, summaryOf, withPoint } from "../curve";
import { useConnection, useDesk, useTime } from "../desk";
import { clockTime, duration, percent } from "../format";
import { leftAt, type Range } from "../progress";
import { Disclosure } from "./disclosure";
import { Drawing, placeOf } from "./drawing";
import { Panel } from "./panel";

interface CurveViewProps {
  readonly job: Job;
  /** When each attempt began. */
  readonly starts: ReadonlyMap<number, number>;
}

/** How far the job was when, attempt by attempt, and when it is expected to end. */
export default function CurveView({ job, starts }: CurveViewProps): ReactElement | null {
  const points = usePoints(job.id);
  const lines = useMemo(() => linesOf(points, starts), [points, starts]);
  const now = useTime();
  const live = useConnection() === "live";
  const start = starts.get(job.attempt);
  const sofar = job.state === "running" && start !== undefined ? Math.max(now - start, 0) : 0;
  if (!isWorthDrawing(lines, sofar)) return null;
  const left = live ? leftAt(job, now) : undefined;
  return (
    <Panel title="Progress over time" aside={lines.length > 1 ? <Legend lines={lines} /> : undefined}>
      <Figure job={job} lines={lines} now={now} sofar={sofar} left={typeof left === "object" ? left : undefined} />
    </Panel>
  );
}

/** The job's points: what the log has, and then what the stream says. */
function usePoints(id: string): readonly CurvePoint[] {
  const { client, live } = useDesk();
  const [points, setPoints] = useState<readonly CurvePoint[]>([]);
  useEffect(() => {
    let current = true;
    const read = () => {
      client.jobCurve(id).then(
        ({ points }) => {
          // What the stream has told meanwhile goes on behind it.
          if (current) setPoints((known) => known.reduce(withPoint, points));
        },
        () => undefined, // without its past, the line begins now
      );
    };
    read();
    const end = live.subscribeEvents(id, (event) => {
      if (event === undefined) {
        read();
        return;
      }
      const point = pointOf(event);
      if (point !== undefined) setPoints((known) => withPoint(known, point));
    });
    return () => {
      current = false;
      end();
    };
  }, [client, live, id]);
  return points;
}

function Legend({ lines }: { readonly lines: readonly Line[] }): ReactElement {
  return (
    <ul className="flex flex-wrap gap-x-4">
      {lines.map(({ attempt }, i) => (
        <li key={attempt} className="flex items-baseline gap-1.5">
          <span className={`h-0.5 w-4 self-center rounded-full ${i === lines.length - 1 ? "bg-accent" : "bg-edge"}`} />
          Attempt {attempt}
        </li>
      ))}
    </ul>
  );
}

interface FigureProps {
  readonly job: Job;
  readonly lines: readonly Line[];
  readonly now: number;
  /** How long the attempt has been under way; 0 when none is. */
  readonly sofar: number;
  readonly left: Range | undefined;
}

function Figure({ job, lines, now, sofar, left }: FigureProps): ReactElement {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [at, setAt] = useState<number>();
  const span = spanOf(lines, sofar, left);
  const last = lines.at(-1);
  const spot = at === undefined || last === undefined ? undefined : nearest(last, at * span);
  const point = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    setAt(placeOf(event.clientX - box.left, box.width));
  };
  return (
    <figure>
      <div
        ref={box}
        role="img"
        aria-label={summaryOf(job, lines, left)}
        onPointerMove={point}
        onPointerLeave={() => {
          setAt(undefined);
        }}
      >
        <Drawing width={width} lines={lines} span={span} sofar={sofar} left={left} spot={spot} />
      </div>
      <figcaption className="mt-1 flex flex-wrap justify-between gap-x-4 text-sm text-faint tabular-nums">
        <span className="min-h-5">
          {spot !== undefined && `${percent(spot.share)} after ${duration(spot.at)}`}
          {spot === undefined && left !== undefined && expectedEnd(now, left)}
        </span>
        <Numbers lines={lines} />
      </figcaption>
    </figure>
  );
}

/** When the end is expected, by the reader's clock. */
function expectedEnd(now: number, { low, high }: Range): string {
  const [from, to] = [now + low, now + high].map((ms) => clockTime(new Date(ms).toISOString()));
  return from === to ? `Expected end ${String(to)}` : `Expected end between ${String(from)} and ${String(to)}`;
}

/** The same as a table, for those who read rather than look. */
function Numbers({ lines }: { readonly lines: readonly Line[] }): ReactElement {
  return (
    <Disclosure label="As a table" className="ms-auto open:order-last open:w-full">
      <table className="mt-2 w-full max-w-md text-start">
        <thead>
          <tr className="border-b border-line">
            <th scope="col" className="py-1 text-start font-normal">
              Attempt
            </th>
            <th scope="col" className="py-1 text-start font-normal">
              After
            </th>
            <th scope="col" className="py-1 text-end font-normal">
              Done
            </th>
          </tr>
        </thead>
        <tbody className="text-ink">
          {lines.flatMap((line) =>
            rowsOf(line).map((row) => (
              <tr key={`${String(line.attempt)} ${String(row.at)} ${String(row.share)}`}>
                <td className="py-0.5">{line.attempt}</td>
                <td className="py-0.5">{duration(row.at)}</td>
                <td className="py-0.5 text-end">{percent(row.share)}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </Disclosure>
  );
}

/** The element's width, as it is and as it changes. */
function useWidth(element: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const measured = element.current;
    if (measured === null) return undefined;
    const observer = new ResizeObserver(() => {
      if (measured.clientWidth > 0) setWidth(measured.clientWidth);
    });
    observer.observe(measured);
    return () => {
      observer.disconnect();
    };
  }, [element]);
  return width;
}

import type { ReactElement } from "react";
import { Button } from "../../components/button";
import { Select } from "../../components/select";
import { Choice } from "../../components/choice";
import { BackIcon, PlayIcon } from "../../components/icons";
import { useTime } from "../../desk";
import { navigate, replaceQuery } from "../../router";
import { thenPlace } from "../place";
import type { Stretch } from "./history";
import type { Speed, useMoment } from "./use-moment";
import { parseThen, type Span, spans, type ThenView, thenQuery } from "./view";

const speeds: readonly { value: Speed; label: string; title: string }[] = [
  { value: "1", label: "1×", title: "As fast as it was" },
  { value: "10", label: "10×", title: "Ten times as fast" },
];

const spanNames: Record<Span, string> = {
  "10m": "10 min",
  "1h": "1 hour",
  "6h": "6 hours",
  "24h": "1 day",
  "7d": "7 days",
};

interface ControlsProps {
  readonly moment: ReturnType<typeof useMoment>;
  readonly period: Stretch;
  readonly view: ThenView;
  readonly user: string;
  readonly before: boolean;
  readonly after: boolean;
  readonly onStep: (onward: boolean) => void;
}

/** What moves the moment, and the stretch around it. */
export function Controls({ moment, period, view, user, before, after, onStep }: ControlsProps): ReactElement {
  const { at, playing, speed, play, setSpeed } = moment;
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button
        aria-label="Step back"
        title="To what happened before"
        why={before ? undefined : "Nothing happened before, in this stretch."}
        onClick={() => {
          onStep(false);
        }}
      >
        <BackIcon size={14} />
      </Button>
      <Button
        look="primary"
        className="w-24"
        why={at >= period.to ? "This is the end of the stretch." : undefined}
        onClick={() => {
          play(!playing);
        }}
      >
        {!playing && <PlayIcon size={14} />}
        {playing ? "Pause" : "Play"}
      </Button>
      <Button
        aria-label="Step on"
        title="To what happened next"
        why={after ? undefined : "Nothing more happened, in this stretch."}
        onClick={() => {
          onStep(true);
        }}
      >
        <span className="rotate-180">
          <BackIcon size={14} />
        </span>
      </Button>
      <Choice legend="Speed" hideLegend options={speeds} value={speed} onChange={setSpeed} />
      <label className="ms-1 inline-flex cursor-pointer items-center gap-2 text-sm">
        <input
          type="checkbox"
          checked={view.truth}
          onChange={(event) => {
            replaceQuery(thenQuery({ ...parseThen(location.search), truth: event.target.checked }));
          }}
          className="size-4 accent-accent"
        />
        The truth beside it
      </label>
      <StretchControls at={at} period={period} view={view} user={user} />
    </div>
  );
}

interface StretchControlsProps {
  readonly at: number;
  readonly period: Stretch;
  readonly view: ThenView;
  readonly user: string;
}

/** Goes to other stretches of the past, and longer or shorter ones. */
function StretchControls({ at, period, view, user }: StretchControlsProps): ReactElement {
  const now = useTime();
  const length = spans[view.span];
  const goOn = (from: number) => {
    navigate(`${thenPlace(user)}?${thenQuery({ ...view, from, at: { time: at + from - period.from } })}`);
  };
  return (
    <div className="flex items-center gap-2 sm:ms-auto">
      <Button
        onClick={() => {
          goOn(period.from - length);
        }}
      >
        Earlier
      </Button>
      <label>
        <span className="sr-only">How much of the past</span>
        <Select
          value={view.span}
          onChange={(event) => {
            const span = event.target.value as Span;
            replaceQuery(thenQuery({ ...parseThen(location.search), span, from: undefined, at: { time: at } }));
          }}
          className="h-8 rounded-lg bg-card ps-2.5 text-sm ring-1 ring-edge ring-inset"
        >
          {Object.entries(spanNames).map(([span, name]) => (
            <option key={span} value={span}>
              {name}
            </option>
          ))}
        </Select>
      </label>
      <Button
        why={period.to >= now ? "This stretch goes up to now." : undefined}
        onClick={() => {
          goOn(period.from + length);
        }}
      >
        Later
      </Button>
    </div>
  );
}

import { type ReactElement, type ReactNode, useEffect, useId, useState, useSyncExternalStore } from "react";
import { Bar } from "../components/bar";
import { Button } from "../components/button";
import { Link } from "../components/link";
import { StateGlyph } from "../components/state-glyph";
import { useJob } from "../desk";
import { percent } from "../format";
import { bounds, type DemoLoad, type LoadPlan, type LoadView, mostAtOnce } from "./load";
import { Panel } from "./parts";

/** The plan that the form begins with. */
export const firstPlan: LoadPlan = { rate: 2, jobs: 100, seconds: 60, failing: 0.1, stalling: 0.1, retrying: 0.1 };

interface LoadProps {
  readonly load: DemoLoad;
  readonly plan: LoadPlan;
  readonly onPlan: (plan: LoadPlan) => void;
  /** Why there can be no load; undefined when there can. */
  readonly why: string | undefined;
}

/** Demo jobs at a rate of one's own. */
export function Load({ load, plan, onPlan, why }: LoadProps): ReactElement {
  const view = useSyncExternalStore(load.subscribe, load.view);
  const set = (change: Partial<LoadPlan>) => {
    onPlan({ ...plan, ...change });
  };
  const rest = 1 - plan.failing - plan.stalling - plan.retrying;
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <Panel title="Demo jobs">
        <div className="space-y-5">
          <p className="text-sm text-soft">
            This page starts jobs that run elsewhere, and is their worker, by the API that yours would use. When you
            leave it, it removes them.
          </p>
          <Slider
            label="Jobs a second"
            least={0}
            most={100}
            value={Math.round(sliderOf(plan.rate))}
            shown={plan.rate < 10 ? plan.rate.toFixed(1) : String(Math.round(plan.rate))}
            onChange={(at) => {
              set({ rate: rateOf(at) });
            }}
          />
          <Slider
            label="At most so many jobs"
            least={10}
            most={bounds.mostJobs}
            step={10}
            value={plan.jobs}
            shown={String(plan.jobs)}
            onChange={(jobs) => {
              set({ jobs });
            }}
          />
          <Slider
            label="For so many seconds"
            least={10}
            most={bounds.mostSeconds}
            step={10}
            value={plan.seconds}
            shown={`${String(plan.seconds)} s`}
            onChange={(seconds) => {
              set({ seconds });
            }}
          />
          <div className="grid gap-5 sm:grid-cols-3">
            <Share
              label="Fail"
              value={plan.failing}
              rest={rest}
              onChange={(failing) => {
                set({ failing });
              }}
            />
            <Share
              label="Stall"
              value={plan.stalling}
              rest={rest}
              onChange={(stalling) => {
                set({ stalling });
              }}
            />
            <Share
              label="Try twice"
              value={plan.retrying}
              rest={rest}
              onChange={(retrying) => {
                set({ retrying });
              }}
            />
          </div>
          <Buttons load={load} plan={plan} view={view} why={why} />
          {view.error !== "" && (
            <p role="alert" className="text-sm text-bad">
              {view.error}
            </p>
          )}
        </div>
      </Panel>
      <Panel title="How it goes">
        <Figures view={view} />
        <ul className="mt-5 space-y-3" aria-label="The newest demo jobs">
          {view.jobs.slice(0, 7).map((id) => (
            <DemoJob key={id} id={id} />
          ))}
        </ul>
      </Panel>
    </div>
  );
}

/** A slider's place, from 0 to 100, is the logarithm of its rate: most of it is for the slow ones. */
function rateOf(at: number): number {
  const { leastRate, mostRate } = bounds;
  const rate = leastRate * (mostRate / leastRate) ** (at / 100);
  return rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate);
}

function sliderOf(rate: number): number {
  const { leastRate, mostRate } = bounds;
  return (100 * Math.log(rate / leastRate)) / Math.log(mostRate / leastRate);
}

interface SliderProps {
  readonly label: string;
  readonly least: number;
  readonly most: number;
  readonly step?: number;
  readonly value: number;
  /** The value in words. */
  readonly shown: string;
  readonly onChange: (value: number) => void;
}

function Slider({ label, least, most, step = 1, value, shown, onChange }: SliderProps): ReactElement {
  const id = useId();
  return (
    <div>
      <div className="mb-1.5 flex items-baseline justify-between gap-3 text-sm">
        <label htmlFor={id} className="text-soft">
          {label}
        </label>
        <output htmlFor={id} className="font-medium tabular-nums">
          {shown}
        </output>
      </div>
      <input
        id={id}
        type="range"
        min={least}
        max={most}
        step={step}
        value={value}
        aria-valuetext={shown}
        onChange={(event) => {
          onChange(event.target.valueAsNumber);
        }}
        className="block h-6 w-full accent-accent"
      />
    </div>
  );
}

interface ShareProps {
  readonly label: string;
  readonly value: number;
  /** What the shares leave over. */
  readonly rest: number;
  readonly onChange: (value: number) => void;
}

function Share({ label, value, rest, onChange }: ShareProps): ReactElement {
  return (
    <Slider
      label={label}
      least={0}
      most={100}
      step={5}
      value={Math.round(value * 100)}
      shown={percent(value)}
      onChange={(share) => {
        onChange(Math.min(share / 100, Math.round((value + rest) * 100) / 100));
      }}
    />
  );
}

interface ButtonsProps {
  readonly load: DemoLoad;
  readonly plan: LoadPlan;
  readonly view: LoadView;
  readonly why: string | undefined;
}

function Buttons({ load, plan, view, why }: ButtonsProps): ReactElement {
  const [old, setOld] = useState(0);
  useEffect(() => {
    load.old().then(
      (ids) => {
        setOld(ids.length);
      },
      () => undefined, // then nothing is offered
    );
  }, [load]);
  return (
    <div className="flex flex-wrap gap-2">
      {view.running ? (
        <Button
          look="danger"
          onClick={() => {
            load.stop();
          }}
        >
          Stop
        </Button>
      ) : (
        <Button
          look="primary"
          why={why ?? (view.removing ? "The jobs are being removed." : undefined)}
          onClick={() => {
            load.start(plan);
          }}
        >
          Start
        </Button>
      )}
      {view.jobs.length > 0 && !view.running && (
        <Button
          onClick={() => {
            void load.remove();
          }}
        >
          {view.removing ? "Removing" : "Remove"} {view.jobs.length} jobs
        </Button>
      )}
      {old > 0 && (
        <Button
          onClick={() => {
            setOld(0);
            void load.removeOld();
          }}
        >
          Remove {old} of earlier
        </Button>
      )}
    </div>
  );
}

function Figures({ view }: { readonly view: LoadView }): ReactElement {
  return (
    <div role="group" aria-label="Figures">
      <dl className="grid grid-cols-3 gap-x-4 gap-y-3 sm:grid-cols-4">
        <Figure name="Started">{view.started}</Figure>
        <Figure name="At once">
          {view.active} <span className="text-sm font-normal text-faint">of {mostAtOnce}</span>
        </Figure>
        <Figure name="Succeeded">{view.succeeded}</Figure>
        <Figure name="Failed">{view.failed}</Figure>
        <Figure name="Stalled">{view.stalled}</Figure>
        <Figure name="Tried twice">{view.retried}</Figure>
        <Figure name="Cancelled">{view.cancelled}</Figure>
      </dl>
    </div>
  );
}

function Figure({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactElement {
  return (
    <div className="flex flex-col-reverse justify-end">
      <dt className="text-sm text-soft">{name}</dt>
      <dd className="text-xl font-medium tabular-nums">{children}</dd>
    </div>
  );
}

/** A demo job as the page's own stream tells of it. */
function DemoJob({ id }: { readonly id: string }): ReactElement | null {
  const job = useJob(id);
  if (job === undefined) return null;
  const tone =
    job.state === "running" ? (job.stalled ? "warn" : "accent") : job.state === "retrying" ? "warn" : "still";
  return (
    <li className="grid grid-cols-[auto_1fr_auto] items-center gap-x-3" data-state={job.state}>
      <StateGlyph job={job} />
      <div className="min-w-0">
        <Link to={`/jobs/${id}`} className="block truncate text-sm hover:underline">
          {job.title}
        </Link>
        <Bar
          share={job.progress}
          label={`Progress of ${job.title}`}
          tone={job.state === "succeeded" ? "accent" : tone}
          run={job.attempt}
        />
      </div>
      <span className="w-11 text-end text-sm text-soft tabular-nums">{percent(job.progress)}</span>
    </li>
  );
}

import { type ReactElement, useMemo } from "react";
import { Choice } from "../../components/choice";
import { Link } from "../../components/link";
import { count, instant, shortTime } from "../../format";
import { replaceQuery, useQuery } from "../../router";
import { arrivedOf, didArrive } from "../arrived";
import { Deliveries } from "../deliveries";
import { Json } from "../json";
import { jobPlace, thenPlace } from "../place";
import { sentenceOf, type Severity } from "../sentences";
import { Empty, Failed, Waiting } from "../states";
import { VirtualList } from "../virtual-list";
import { type About, parseTold, toldPath, toldQuery, type ToldFilter } from "./filter";
import { type Line, linesOf } from "./lines";
import { mostTold, type Told, useTold } from "./use-told";

const abouts: readonly { value: About; label: string }[] = [
  { value: "all", label: "All" },
  { value: "jobs", label: "Jobs" },
  { value: "problems", label: "Problems" },
  { value: "notices", label: "Notices" },
];

/** What a user was to be told, and whether it came. */
export function ToldList({ user }: { readonly user: string }): ReactElement {
  const filter = parseTold(useQuery());
  const { told, older, again } = useTold(toldPath(user, filter.about));
  const lines = useMemo(
    () => linesOf(filter.missed ? told.events.filter((e) => !didArrive(e.receipt)) : told.events),
    [told.events, filter.missed],
  );
  const shown = lines.reduce((sum, line) => sum + line.count, 0);
  return (
    <section aria-label="What they were told" className="min-w-0 rounded-2xl bg-card ring-1 ring-line">
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2 border-b border-line px-4 py-3 text-sm sm:px-5">
        <h2 className="me-auto font-medium">What they were told</h2>
        <Choice
          legend="About"
          hideLegend
          options={abouts}
          value={filter.about}
          onChange={(about) => {
            show({ ...filter, about, open: 0 });
          }}
        />
        <label className="inline-flex cursor-pointer items-center gap-2">
          <input
            type="checkbox"
            checked={filter.missed}
            onChange={(event) => {
              show({ ...filter, missed: event.target.checked });
            }}
            className="size-4 accent-accent"
          />
          Only what did not arrive
        </label>
      </div>
      {told.status === "failed" && <Failed title="The log could not be read" error={told.error} onAgain={again} />}
      {told.status === "reading" && told.events.length === 0 && <Waiting what="Reading the log" />}
      {told.status === "ready" && lines.length === 0 && <Nothing filter={filter} more={told.next !== ""} />}
      {lines.length > 0 && (
        <VirtualList label="Told" items={lines} keyOf={keyOf} onEnd={older}>
          {(line) => <ToldRow user={user} line={line} open={filter.open === line.event.seq} />}
        </VirtualList>
      )}
      <Foot told={told} shown={shown} onOlder={older} />
    </section>
  );
}

function keyOf(line: Line): number {
  return line.event.seq;
}

function show(filter: ToldFilter): void {
  replaceQuery(toldQuery(filter));
}

function Nothing({ filter, more }: { readonly filter: ToldFilter; readonly more: boolean }): ReactElement {
  if (filter.missed) {
    const among = more ? "Of the newest of it, all did. Show older ones to look further back." : "All of it did.";
    return <Empty bare title="Nothing that did not arrive" text={among} />;
  }
  return <Empty bare title="Nothing of this kind" text="The log has nothing of it for this user." />;
}

interface FootProps {
  readonly told: Told;
  readonly shown: number;
  readonly onOlder: () => void;
}

function Foot({ told, shown, onOlder }: FootProps): ReactElement | null {
  if (told.events.length === 0) return null;
  const all = told.events.length;
  return (
    <p className="flex flex-wrap items-center gap-3 border-t border-line px-4 py-2.5 text-sm text-soft tabular-nums sm:px-5">
      <span role="status" className="me-auto">
        {shown === all ? count(all) : `${count(shown)} of ${count(all)}`} {all === 1 ? "event" : "events"}
        {told.next === "" && all < mostTold && ", all that the log has"}
        {all >= mostTold && ", which is as many as are shown"}
      </span>
      {told.next !== "" && (
        <button type="button" onClick={onOlder} className="text-accent underline underline-offset-2">
          {told.status === "reading" ? "Reading older ones" : "Show older ones"}
        </button>
      )}
    </p>
  );
}

const dots: Record<Severity, string> = { info: "bg-edge", good: "bg-accent", warning: "bg-warn-fill", bad: "bg-bad" };
const looks: Record<Severity, string> = {
  info: "text-soft",
  good: "text-accent",
  warning: "text-warn",
  bad: "text-bad",
};

interface ToldRowProps {
  readonly user: string;
  readonly line: Line;
  readonly open: boolean;
}

function ToldRow({ user, line, open }: ToldRowProps): ReactElement {
  const { event, text, subject } = line;
  const said = sentenceOf(event);
  const arrived = arrivedOf(event.receipt);
  const id = `told-${String(event.seq)}`;
  return (
    <div className={open ? "bg-well/40" : undefined}>
      <div className="relative grid min-h-10 grid-cols-[auto_1fr] items-start gap-x-3 px-4 py-2 text-sm hover:bg-well/50 sm:grid-cols-[auto_1fr_auto_auto] sm:px-5">
        <span aria-hidden="true" className={`mt-1.5 size-2 rounded-full ${dots[said.severity]}`} />
        <p className="min-w-0 break-words">
          <button
            type="button"
            aria-expanded={open}
            aria-controls={open ? id : undefined}
            onClick={() => {
              show({ ...parseTold(location.search), open: open ? 0 : event.seq });
            }}
            className="text-start after:absolute after:inset-0 after:content-['']"
          >
            {text}
          </button>
          {subject !== "" && <span className="text-faint"> · {subject}</span>}
        </p>
        <span className={`col-start-2 sm:col-start-auto sm:text-end ${looks[arrived.severity]}`}>{arrived.text}</span>
        <time
          dateTime={event.recorded_at}
          title={instant(event.recorded_at)}
          className="col-start-2 text-faint tabular-nums sm:col-start-auto sm:min-w-20 sm:text-end"
        >
          {shortTime(event.recorded_at)}
        </time>
      </div>
      {open && (
        <div id={id} className="grid gap-x-8 gap-y-5 border-t border-line px-4 py-4 text-sm sm:px-5 xl:grid-cols-2">
          <div className="min-w-0 space-y-4">
            {said.note !== "" && <p className="break-words whitespace-pre-wrap">{said.note}</p>}
            <p className="flex flex-wrap gap-x-4 gap-y-1">
              <Link to={thenPlace(user, event.seq)} className="text-accent underline underline-offset-2">
                What they saw then
              </Link>
              {event.job_id !== undefined && (
                <Link
                  to={`${jobPlace(event.job_id)}?open=${String(event.seq)}`}
                  className="text-accent underline underline-offset-2"
                >
                  The job’s timeline
                </Link>
              )}
            </p>
            <Deliveries seq={event.seq} suggested={user} />
          </div>
          <Json value={event.data} label={`Payload of event ${String(event.seq)}`} />
        </div>
      )}
    </div>
  );
}

import { type ReactElement, useEffect, useState } from "react";
import { Button } from "../components/button";
import { JobCard } from "../components/job-card";
import { JobFilters } from "../components/job-filters";
import { NewJob } from "../components/new-job";
import { UploadList } from "../components/upload-list";
import { useConnection, useDesk, useJobList } from "../desk";
import { all, askedFor, isAll, matches, parseShown, addressOf, queryOf, type Shown } from "../job-filter";
import { messageOf } from "../live";
import { navigate, useQuery } from "../router";

/** The reader's jobs: what begins, what is under way, what has ended. */
export function JobsPage({ onPresetsAgain }: { readonly onPresetsAgain: () => void }): ReactElement {
  const search = useQuery();
  return (
    <>
      <h1 className="sr-only">Jobs</h1>
      <NewJob onPresetsAgain={onPresetsAgain} />
      <UploadList />
      <Jobs key={addressOf({ ...parseShown(search), text: "" })} shown={parseShown(search)} />
    </>
  );
}

/** How many cards there are of each part, to begin with and with each "Show more": a card costs some, if seen or not. */
const page = 30;

function Jobs({ shown }: { readonly shown: Shown }): ReactElement {
  const { live, store } = useDesk();
  const list = useJobList();
  const older = useOlder(shown);
  const [most, setMost] = useState(page);
  const [none, filtered] = [list.active.length + list.ended.length === 0, !isAll(shown)];

  if (none && list.status === "loading") return <Skeletons />;
  const fits = (id: string) => {
    const job = store.job(id);
    return job !== undefined && matches(shown, job);
  };
  const active = list.active.filter(fits);
  // What is older than the last page that was read has holes: another filter has brought some of it.
  const ended = list.ended.filter((id) => fits(id) && (older.next === "" || id >= older.next));
  const rows = rowsOf(active.slice(0, most), ended.slice(0, most), active.length);
  const hidden = active.length > most || ended.length > most;
  const more = () => {
    setMost(most + page);
    if (ended.length <= most + page && older.next !== "") older.read();
  };
  return (
    <>
      {(!none || filtered || list.next !== "") && <JobFilters shown={shown} />}
      {list.status === "failed" && (
        <p role="alert" className="flex flex-wrap items-center gap-3 rounded-xl bg-bad-tint px-4 py-2.5 text-sm">
          The list of jobs could not be read. {list.error}
          <Button
            onClick={() => {
              void live.reload();
            }}
          >
            Try again
          </Button>
        </p>
      )}
      {none && !filtered && list.status === "ready" && <Empty />}
      {rows.length > 0 && (
        <ul aria-label="Jobs" className={`space-y-3 ${rows.length > 2 * page ? "jobs-many" : ""}`}>
          {rows}
        </ul>
      )}
      {filtered && rows.length === 0 && !older.busy && older.error === "" && <NoneFits shown={shown} />}
      {(hidden || older.next !== "" || older.busy) && (
        <div className="flex justify-center">
          <Button onClick={more} why={older.busy ? "Reading them." : undefined}>
            Show more
          </Button>
        </div>
      )}
      {older.error !== "" && (
        <p role="alert" className="text-center text-sm text-bad">
          {older.error}
        </p>
      )}
    </>
  );
}

interface Older {
  /** Where the next page begins; empty when there is none. */
  readonly next: string;
  readonly busy: boolean;
  readonly error: string;
  readonly read: () => void;
}

/** Reads what the store does not have: of all jobs the pages behind its own, of those that a filter shows the first too. */
function useOlder(shown: Shown): Older {
  const { live } = useDesk();
  const list = useJobList();
  const everything = isAll(shown);
  const { state: of, kind, text } = shown;
  const key = queryOf(shown);
  const [read, setRead] = useState({ key: "", next: "", busy: false, error: "" });

  useEffect(() => {
    if (everything) return undefined;
    let current = true;
    const show = (next: string, error: string) => {
      if (current) setRead({ key, next, busy: false, error });
    };
    live.loadMatching(askedFor({ state: of, kind, text }), "").then(
      (next) => {
        show(next, "");
      },
      (err: unknown) => {
        show("", messageOf(err));
      },
    );
    return () => {
      current = false;
    };
  }, [live, everything, key, of, kind, text]);

  // What was read for another filter says nothing of this one.
  const state = read.key === key ? read : { key, next: "", busy: !everything, error: "" };
  const next = everything ? list.next : state.next;
  const readOn = () => {
    setRead({ ...state, busy: true, error: "" });
    const reading = everything ? live.loadOlder().then(() => "") : live.loadMatching(askedFor(shown), next);
    reading.then(
      (after) => {
        setRead({ key, next: after, busy: false, error: "" });
      },
      (err: unknown) => {
        setRead({ ...state, busy: false, error: messageOf(err) });
      },
    );
  };
  return { ...state, next, read: readOn };
}

/**
 * The list with its headings, as one array: a card stays itself, and a video
 * plays on, when its job moves from one part to the other.
 */
function rowsOf(active: readonly string[], ended: readonly string[], underWay: number): ReactElement[] {
  const card = (id: string) => <JobCard key={id} id={id} />;
  const rows = [...active.map(card), ...ended.map(card)];
  if (ended.length > 0) rows.splice(active.length, 0, <Heading key="ended" text="Ended" />);
  if (active.length > 0) rows.unshift(<Heading key="active" text="Under way" count={underWay} />);
  return rows;
}

function Heading({ text, count }: { readonly text: string; readonly count?: number }): ReactElement {
  return (
    <li className="not-first:pt-5">
      <h2 className="px-1 text-sm font-medium text-soft">
        {text} {count !== undefined && <span className="text-faint tabular-nums">{count}</span>}
      </h2>
    </li>
  );
}

function Empty(): ReactElement {
  return (
    <div className="px-6 py-14 text-center">
      <p className="text-lg font-medium">Nothing here yet</p>
      <p className="mx-auto mt-1 max-w-sm text-soft">
        Drop a video, or let Herald make one. Its progress shows here as it happens.
      </p>
    </div>
  );
}

function NoneFits({ shown }: { readonly shown: Shown }): ReactElement {
  const words = { all: "", active: "that is under way", ended: "that has ended", failed: "that has failed" };
  const what = ["There is no job", words[shown.state], shown.text !== "" && `with “${shown.text}” in its title`];
  return (
    <div className="px-6 py-10 text-center">
      <p className="font-medium">{what.filter((part) => part !== "" && part !== false).join(" ")}</p>
      <p className="mt-3">
        <Button
          onClick={() => {
            navigate(addressOf(all), { keepPlace: true });
          }}
        >
          Show all jobs
        </Button>
      </p>
    </div>
  );
}

function Skeletons(): ReactElement {
  const connection = useConnection();
  return (
    <div aria-busy="true" className="space-y-3">
      <p className="sr-only">{connection === "live" ? "Reading the jobs" : "Connecting"}</p>
      {[1, 2, 3].map((n) => (
        <div key={n} className="animate-pulse rounded-2xl bg-card p-5 ring-1 ring-line">
          <div className="h-4 w-1/3 rounded bg-well" />
          <div className="mt-2.5 h-3 w-1/5 rounded bg-well" />
          <div className="mt-5 h-2.5 rounded-full bg-well" />
        </div>
      ))}
    </div>
  );
}

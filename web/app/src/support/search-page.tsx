import type { Job, Session } from "@herald/client";
import { type ReactElement, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Button } from "../components/button";
import { Link } from "../components/link";
import { count, instant } from "../format";
import { messageOf } from "../live";
import { navigate, useQuery } from "../router";
import { ask, type LogPage } from "./api";
import { CopyButton } from "./copy-button";
import { EventRow } from "./event-row";
import { FilterBar } from "./filter-bar";
import { boundedForText, exportOf, type Filters, parseFilters, searchPlace } from "./filters";
import { Menu, MenuButton } from "./menu";
import { type Found, mostShown, Reading } from "./reading";
import { csvOf, jsonOf, save } from "./save";
import { useAnswer } from "./use-answer";
import { VirtualList } from "./virtual-list";
import { Empty, Failed, Waiting } from "./states";

/** Searches the log. All that is looked for stands in the address. */
export function SearchPage({ session }: { readonly session: Session }): ReactElement {
  const query = useQuery();
  const filters = useMemo(() => parseFilters(query), [query]);
  const change = (to: Filters) => {
    navigate(searchPlace(to));
  };
  return (
    <>
      <h1 className="sr-only">Search the log</h1>
      {filters.event > 0 ? <OneEvent seq={filters.event} /> : <FilterBar filters={filters} onChange={change} />}
      <Results key={query} filters={filters} session={session} />
      <Kept />
    </>
  );
}

function OneEvent({ seq }: { readonly seq: number }): ReactElement {
  return (
    <p className="flex flex-wrap items-center gap-3 rounded-2xl bg-card px-4 py-3 text-sm ring-1 ring-line">
      <span className="me-auto">
        Event <span className="font-medium tabular-nums">#{seq}</span> alone
      </span>
      <Link to={searchPlace({})} className="text-accent underline underline-offset-2">
        Search the log
      </Link>
    </p>
  );
}

interface ResultsProps {
  readonly filters: Filters;
  readonly session: Session;
}

function Results({ filters, session }: ResultsProps): ReactElement {
  const [tries, setTries] = useState(0);
  const [reading, found] = useReading(filters, tries);
  const [open, setOpen] = useState<ReadonlySet<number>>(() => new Set(filters.event > 0 ? [filters.event] : []));
  const toggle = useCallback((seq: number) => {
    setOpen((now) => toggled(now, seq));
  }, []);
  const older = useCallback(() => {
    reading.older();
  }, [reading]);
  const none = found.events.length === 0;
  return (
    <section aria-label="Events" className="space-y-3">
      <div className="flex flex-wrap items-center gap-2">
        <p role="status" className="me-auto text-sm text-soft">
          {summary(found)}
          {boundedForText(filters) &&
            ". A text is looked for in the last 7 days unless you choose a time, a user or a job"}
        </p>
        {filters.event === 0 && (
          <Tools
            filters={filters}
            found={found}
            session={session}
            onAgain={() => {
              setTries((n) => n + 1);
            }}
          />
        )}
      </div>
      {found.status === "failed" && none && (
        <Failed
          title="The log could not be read"
          error={found.error}
          onAgain={() => {
            reading.start();
          }}
        />
      )}
      {none && found.status === "reading" && !found.searching && <Waiting what="Reading the log" />}
      {none && found.status === "ready" && <Nothing filters={filters} />}
      {!none && (
        <div className="rounded-2xl bg-card ring-1 ring-line">
          <VirtualList label="Events, newest first" items={found.events} keyOf={(e) => e.seq} onEnd={older}>
            {(event) => <EventRow event={event} open={open.has(event.seq)} onToggle={toggle} />}
          </VirtualList>
        </div>
      )}
      <Older found={found} reading={reading} />
    </section>
  );
}

function useReading(filters: Filters, tries: number): [Reading, Found] {
  const [state, setState] = useState(() => ({ tries, reading: new Reading(filters) }));
  if (state.tries !== tries) setState({ tries, reading: new Reading(filters) });
  const { reading } = state;
  useEffect(() => {
    reading.start();
    return () => {
      reading.stop();
    };
  }, [reading]);
  return [reading, useSyncExternalStore(reading.subscribe, reading.found)];
}

function toggled(now: ReadonlySet<number>, seq: number): ReadonlySet<number> {
  const next = new Set(now);
  if (!next.delete(seq)) next.add(seq);
  return next;
}

function summary({ events, next, status, searching }: Found): string {
  const last = events.at(-1);
  const so = events.length === 0 ? "" : `${count(events.length)} ${events.length === 1 ? "event" : "events"}`;
  if (searching) return `${so === "" ? "Nothing yet" : so}, looking further back`;
  if (status === "reading") return so === "" ? "Reading the log" : `${so}, reading on`;
  if (status === "failed") return so === "" ? "" : `${so}, then it could not be read on`;
  if (last === undefined) return "No events";
  return next === "" ? `${so}, all there are` : `${so}, back to ${instant(last.recorded_at)}`;
}

/** What is at the end of the list: more, a stop, or another try. */
function Older({ found, reading }: { readonly found: Found; readonly reading: Reading }): ReactElement | null {
  const { status, next, events, searching, error } = found;
  if (searching) {
    return (
      <p className="flex justify-center">
        <Button
          onClick={() => {
            reading.pause();
          }}
        >
          Stop looking further back
        </Button>
      </p>
    );
  }
  if (status === "failed" && events.length > 0) {
    return (
      <Failed
        title="Older events could not be read"
        error={error}
        onAgain={() => {
          reading.start();
        }}
      />
    );
  }
  if (next === "") return null;
  const full =
    events.length >= mostShown
      ? `No more than ${count(mostShown)} are shown. Narrow the search, or export all.`
      : undefined;
  return (
    <p className="flex justify-center">
      <Button
        onClick={() => {
          reading.older();
        }}
        why={full ?? (status === "reading" ? "Reading them." : undefined)}
      >
        Load older events
      </Button>
    </p>
  );
}

function Nothing({ filters }: { readonly filters: Filters }): ReactElement {
  if (filters.event > 0) return <Empty title="There is no such event" text="The log has not come so far yet." />;
  return (
    <Empty
      title="Nothing in the log matches"
      text="Try a longer time, or fewer filters. Texts are looked for in messages and errors."
    />
  );
}

interface ToolsProps extends ResultsProps {
  readonly found: Found;
  readonly onAgain: () => void;
}

/** What can be done with what is shown. */
function Tools({ filters, found, session, onAgain }: ToolsProps): ReactElement {
  const none = found.events.length === 0;
  const name = `events-${new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, "-")}`;
  return (
    <>
      <Button onClick={onAgain} why={found.status === "reading" ? "Reading it." : undefined}>
        Refresh
      </Button>
      <CopyButton text={() => location.origin + searchPlace(filters)}>Copy link</CopyButton>
      {none ? (
        <Button why="There is nothing to download.">Download</Button>
      ) : (
        <Menu label="Download" title="Download what is shown" align="right">
          {(close) => (
            <>
              <MenuButton
                onClick={() => {
                  save(`${name}.json`, "application/json", jsonOf(found.events));
                  close();
                }}
              >
                What is shown, as JSON
              </MenuButton>
              <MenuButton
                onClick={() => {
                  save(`${name}.csv`, "text/csv", csvOf(found.events));
                  close();
                }}
              >
                What is shown, as CSV
              </MenuButton>
            </>
          )}
        </Menu>
      )}
      <Export filters={filters} session={session} />
    </>
  );
}

/** Starts a job that exports all that matches, however much it is. */
function Export({ filters }: ResultsProps): ReactElement {
  const [started, setStarted] = useState<Job>();
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const start = (format: "csv" | "ndjson") => {
    setBusy(true);
    setError("");
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(exportOf(filters, format)),
    };
    ask<Job>("/api/jobs", undefined, init)
      .then(setStarted, (err: unknown) => {
        setError(messageOf(err));
      })
      .finally(() => {
        setBusy(false);
      });
  };
  if (busy) return <Button why="Starting it.">Export all that matches</Button>;
  return (
    <>
      <Menu label="Export all that matches" title="Export all that matches" align="right">
        {(close) => (
          <>
            {(["csv", "ndjson"] as const).map((format) => (
              <MenuButton
                key={format}
                onClick={() => {
                  start(format);
                  close();
                }}
              >
                {format === "csv" ? "As CSV" : "As JSON, a line each"}
              </MenuButton>
            ))}
          </>
        )}
      </Menu>
      {started !== undefined && (
        <p role="status" className="basis-full text-sm text-soft sm:text-end">
          The export has started.{" "}
          <Link to={`/jobs/${started.id}`} className="text-accent underline underline-offset-2">
            Watch it and download the file
          </Link>
        </p>
      )}
      {error !== "" && (
        <p role="alert" className="basis-full text-sm text-bad sm:text-end">
          The export was not started. {error}
        </p>
      )}
    </>
  );
}

/** Says how far back the log goes, since what is older is found nowhere. */
function Kept(): ReactElement | null {
  const { answer } = useAnswer<LogPage>("/api/events?order=asc&limit=1");
  const oldest = answer?.events[0];
  if (oldest === undefined) return null;
  return (
    <p className="text-center text-xs text-faint">
      The log goes back to {instant(oldest.recorded_at)}, event #{oldest.seq}.
      {oldest.seq > 1 && " What is older is no longer kept here."}
    </p>
  );
}

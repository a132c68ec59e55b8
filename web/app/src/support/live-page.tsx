import { EventStream, type StreamEvent, type StreamState } from "@herald/client";
import { type ReactElement, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Button } from "../components/button";
import { Link } from "../components/link";
import { count } from "../format";
import { replaceQuery, useQuery } from "../router";
import { EventRow } from "./event-row";
import { Field } from "./field";
import { Follower } from "./follower";
import { searchPlace } from "./filters";
import { matcher, parseTailFilters, type TailFilters, tailQuery } from "./tail-filters";

import { Empty } from "./states";
import { isGap, type Line, mostLines, type Shown, Tail } from "./tail";
import { TypeMenu } from "./type-menu";
import { VirtualList } from "./virtual-list";

/** The end of the log as it grows. What is followed stands in the address. */
export function LivePage(): ReactElement {
  const query = useQuery();
  const filters = useMemo(() => parseTailFilters(query), [query]);
  const change = (part: Partial<TailFilters>) => {
    replaceQuery(tailQuery({ ...filters, ...part }));
  };
  // Another text is looked for in what is there; another user or type is another stream.
  const followed = `${filters.user}\n${filters.types.join("\n")}`;
  return (
    <>
      <h1 className="sr-only">The log, live</h1>
      <Bar filters={filters} onChange={change} />
      <Following key={followed} filters={filters} />
    </>
  );
}

interface BarProps {
  readonly filters: TailFilters;
  readonly onChange: (part: Partial<TailFilters>) => void;
}

function Bar({ filters, onChange }: BarProps): ReactElement {
  const [user, setUser] = useState(filters.user);
  const follow = () => {
    if (user.trim() !== filters.user) onChange({ user: user.trim() });
  };
  return (
    <form
      role="search"
      aria-label="The live log"
      onSubmit={(event) => {
        event.preventDefault();
        follow();
      }}
      className="grid items-end gap-3 rounded-2xl bg-card p-3 ring-1 ring-line sm:grid-cols-[2fr_1fr_auto] sm:p-4"
    >
      <Field
        label="Text in what is shown"
        type="search"
        value={filters.text}
        maxLength={200}
        onChange={(text) => {
          onChange({ text });
        }}
      />
      <Field label="User" value={user} onChange={setUser} onBlur={follow} maxLength={200} />
      <TypeMenu
        chosen={filters.types}
        onChange={(types) => {
          onChange({ types });
        }}
      />
    </form>
  );
}

function Following({ filters }: { readonly filters: TailFilters }): ReactElement {
  const { tail, state, shown } = useTail(filters);
  const [open, setOpen] = useState(0);
  const matches = useMemo(() => matcher(filters.text), [filters.text]);
  const lines = useMemo(() => shown.lines.filter((line) => isGap(line) || matches(line)), [shown, matches]);
  const toggle = useCallback(
    (seq: number) => {
      tail.pause();
      setOpen((now) => (now === seq ? 0 : seq));
    },
    [tail],
  );
  usePauseOnScroll(tail);
  return (
    <section aria-label="Live events" className="space-y-3">
      <Controls tail={tail} shown={shown} state={state} matching={lines.length} filtered={filters.text !== ""} />
      {lines.length === 0 ? (
        <Empty
          title={shown.lines.length === 0 ? "Waiting for events" : "Nothing of what has come has this text"}
          text={
            shown.lines.length === 0
              ? "What is written to the log shows here at once."
              : "It is looked for in each event that comes."
          }
        />
      ) : (
        <div className="rounded-2xl bg-card ring-1 ring-line">
          <VirtualList label="Live events, newest first" items={lines} keyOf={keyOf}>
            {(line) =>
              isGap(line) ? (
                <LeftOut count={line.leftOut} />
              ) : (
                <EventRow event={line} open={line.seq === open} onToggle={toggle} />
              )
            }
          </VirtualList>
        </div>
      )}
    </section>
  );
}

function keyOf(line: Line): number {
  return isGap(line) ? line.seq - 0.5 : line.seq;
}

function useTail({ user, types }: TailFilters): { tail: Tail; state: StreamState; shown: Shown } {
  const [tail] = useState(() => new Tail());
  const [state, setState] = useState<StreamState>("connecting");
  const kinds = types.join("\n");
  useEffect(() => {
    const wanted = kinds === "" ? [] : kinds.split("\n");
    const follower = new Follower(tail, user, wanted);
    const stream = new EventStream({
      url: "/api/sse?conflate=off", // a log shows all that is in it
      topics: [user === "" ? "log" : `user:${user}`],
      ...(wanted.length > 0 ? { types: wanted } : {}),
      acknowledge: false, // support's look says nothing of what reached the users
      whileVisible: true,
      onEvent: (event: StreamEvent) => {
        follower.take(event);
      },
      onState: setState,
    });
    return () => {
      stream.close();
      follower.stop();
      tail.clear();
    };
  }, [tail, user, kinds]);
  return { tail, state, shown: useSyncExternalStore(tail.subscribe, tail.shown) };
}

/** Lines must not move under the eyes of a reader who has gone down to them. */
function usePauseOnScroll(tail: Tail): void {
  useEffect(() => {
    const scrolled = () => {
      if (window.scrollY > 240) tail.pause();
    };
    window.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      window.removeEventListener("scroll", scrolled);
    };
  }, [tail]);
}

const stateWords: Record<StreamState, string> = {
  connecting: "Connecting",
  live: "Following",
  reconnecting: "Interrupted; what is missed comes when the connection is back",
  offline: "You are offline; what is missed comes when you are back",
  closed: "The server ended this. Reload the page to go on",
};

interface ControlsProps {
  readonly tail: Tail;
  readonly shown: Shown;
  readonly state: StreamState;
  readonly matching: number;
  readonly filtered: boolean;
}

function Controls({ tail, shown, state, matching, filtered }: ControlsProps): ReactElement {
  const { paused, waiting, leftOut, lines } = shown;
  const all = `${count(lines.length)}${lines.length >= mostLines ? " newest" : ""} events`;
  const resume = () => {
    window.scrollTo(0, 0);
    tail.resume();
  };
  return (
    <div className="sticky top-0 z-10 -mx-4 flex flex-wrap items-center gap-2 bg-page/95 px-4 py-2 sm:-mx-6 sm:px-6">
      <p role="status" className="me-auto text-sm text-soft" data-tail={paused ? "paused" : state}>
        {paused ? "Paused" : stateWords[state]}
        {paused && waiting > 0 && `, ${count(waiting)} new`}
        {paused && leftOut > 0 && `, of which the oldest ${count(leftOut)} will be left out`}
        {!paused && lines.length > 0 && `, ${filtered ? `${count(matching)} of ${all}` : all}`}
      </p>
      {paused ? (
        <Button look="primary" onClick={resume}>
          {waiting > 0 ? `Resume with ${count(waiting)} new` : "Resume"}
        </Button>
      ) : (
        <Button
          onClick={() => {
            tail.pause();
          }}
        >
          Pause
        </Button>
      )}
      <Button
        onClick={() => {
          tail.clear();
        }}
        why={lines.length === 0 && waiting === 0 ? "There is nothing to clear." : undefined}
      >
        Clear
      </Button>
    </div>
  );
}

function LeftOut({ count: n }: { readonly count: number }): ReactElement {
  return (
    <p className="bg-warn-tint px-4 py-2 text-center text-sm">
      {count(n)} {n === 1 ? "event was" : "events were"} left out here, since more came than is kept during a pause.{" "}
      <Link to={searchPlace({ preset: "1h" })} className="text-accent underline underline-offset-2">
        Search the log
      </Link>
    </p>
  );
}

import type { Session } from "@herald/client";
import { type ReactElement, useMemo, useState } from "react";
import { Button } from "../../components/button";
import { Link } from "../../components/link";
import { sentence } from "../../format";
import { navigate, replaceQuery, useQuery } from "../../router";
import { isAdmin } from "../../session";
import { Menu, MenuButton } from "../menu";
import { usePolling } from "../polling";
import { Empty, Failed, Waiting } from "../states";
import type { Overview } from "./api";
import { Details, Entries } from "./entries";
import { type Looked, mostListed, QueueReader } from "./reader";
import { Nodes, Queues } from "./queues";
import { everything, parseWanted, queryOfWanted, queuePlace, states, type Wanted } from "./wanted";

/** River's queues and what is in them, for admins. It changes nothing: an entry is changed by way of its job. */
export function QueuePage({ session }: { readonly session: Session }): ReactElement {
  const query = useQuery();
  const wanted = useMemo(() => parseWanted(query), [query]);
  if (!isAdmin(session)) return <NotForSupport />;
  return (
    <>
      <h1 className="sr-only">Queue</h1>
      <Queue key={queryOfWanted({ ...wanted, open: 0 })} wanted={wanted} />
    </>
  );
}

function NotForSupport(): ReactElement {
  return (
    <Empty
      title="The queue is for admins"
      text={
        <>
          It shows what River keeps, which belongs to nobody. How the attempts of a job went stands on{" "}
          <Link to="/support" className="text-accent underline underline-offset-2">
            the job’s timeline
          </Link>
          .
        </>
      }
    />
  );
}

const every = 3000;

function Queue({ wanted }: { readonly wanted: Wanted }): ReactElement {
  const [reader] = useState(() => new QueueReader(wanted));
  const { value, error, now } = usePolling(reader.read, every);
  return (
    <>
      {error !== "" && (
        <Failed
          title={value === undefined ? "The queue could not be read" : "This is no longer up to date"}
          error={error}
          onAgain={now}
        />
      )}
      {value === undefined && error === "" && <Waiting what="Reading the queue" />}
      {value !== undefined && (
        <>
          <Queues overview={value.overview} wanted={wanted} />
          <Nodes overview={value.overview} />
          <Bar overview={value.overview} wanted={wanted} />
          <Listed
            looked={value}
            wanted={wanted}
            onMore={() => {
              reader.more();
              now();
            }}
          />
        </>
      )}
    </>
  );
}

interface BarProps {
  readonly overview: Overview;
  readonly wanted: Wanted;
}

/** Which entries are listed. */
function Bar({ overview, wanted }: BarProps): ReactElement {
  const change = (part: Partial<Wanted>) => {
    navigate(queuePlace({ ...wanted, open: 0, ...part }), { keepPlace: true });
  };
  const { state, queue, kind } = wanted;
  return (
    <section aria-label="Filters" className="flex flex-wrap items-center gap-2">
      <Pick
        title="State"
        any="Any state"
        value={state}
        options={states}
        label={sentence}
        onChange={(to) => {
          change({ state: to });
        }}
      />
      <Pick
        title="Queue"
        any="Any queue"
        value={queue}
        options={overview.queues.map((q) => q.name)}
        onChange={(to) => {
          change({ queue: to });
        }}
      />
      <Pick
        title="Kind"
        any="Any kind"
        value={kind}
        options={overview.kinds}
        onChange={(to) => {
          change({ kind: to });
        }}
      />
      {(state !== "" || queue !== "" || kind !== "") && (
        <Button
          look="quiet"
          onClick={() => {
            change(everything);
          }}
        >
          Show all entries
        </Button>
      )}
    </section>
  );
}

interface PickProps<T extends string> {
  readonly title: string;
  readonly any: string;
  readonly value: T | "";
  readonly options: readonly T[];
  readonly label?: (value: T) => string;
  readonly onChange: (value: T | "") => void;
}

/** One of several, or any. */
function Pick<T extends string>({ title, any, value, options, label, onChange }: PickProps<T>): ReactElement {
  const named = (option: T) => label?.(option) ?? option;
  return (
    <Menu label={value === "" ? any : named(value)} title={title} on={value !== ""}>
      {(close) =>
        (["", ...options] as const).map((option) => (
          <MenuButton
            key={option}
            onClick={() => {
              onChange(option);
              close();
            }}
          >
            {option === "" ? any : named(option)}
          </MenuButton>
        ))
      }
    </Menu>
  );
}

interface ListedProps {
  readonly looked: Looked;
  readonly wanted: Wanted;
  readonly onMore: () => void;
}

function Listed({ looked, wanted, onMore }: ListedProps): ReactElement {
  const { entries, more, partial } = looked;
  const show = (open: number) => {
    replaceQuery(queryOfWanted({ ...wanted, open: open === wanted.open ? 0 : open }));
  };
  const elsewhere = wanted.open > 0 && !entries.some((e) => e.id === wanted.open);
  return (
    <>
      {elsewhere && (
        <section aria-label={`Entry ${String(wanted.open)}`} className="rounded-2xl bg-card p-4 ring-1 ring-line">
          <Details id={wanted.open} />
        </section>
      )}
      {entries.length > 0 && (
        <Entries entries={entries} now={Date.parse(looked.overview.at)} open={wanted.open} onToggle={show} />
      )}
      {entries.length === 0 && !more && (
        <Empty
          title="No such entries"
          text="River removes entries a day after they end, discarded ones after a week."
        />
      )}
      {partial && (
        <p role="status" className="text-center text-sm text-soft">
          {entries.length === 0 ? "None was found so far" : "Not all was looked at"}: the queue is long, and what is
          looked for is rare in it.
        </p>
      )}
      {more && (
        <p className="flex justify-center">
          <Button
            onClick={onMore}
            why={entries.length >= mostListed ? "No more are shown. Choose a state, a queue or a kind." : undefined}
          >
            {partial ? "Look further back" : "Show more"}
          </Button>
        </p>
      )}
    </>
  );
}

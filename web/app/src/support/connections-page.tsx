import type { Session } from "@herald/client";
import { type ReactElement, useMemo, useState } from "react";
import { Button } from "../components/button";
import { Choice } from "../components/choice";
import { count } from "../format";
import { navigate, useQuery } from "../router";
import { isAdmin } from "../session";
import type { ConnectionPage } from "./api";
import { ConnectionRow } from "./connection-row";
import { Ending } from "./ending";
import { Field } from "./field";
import { Lister, type Listed, mostListed, parseWanted, queryOfWanted, type Wanted } from "./lister";
import { usePolling } from "./polling";
import { Empty, Failed, Waiting } from "./states";

/** Who is connected now, and whose streams have ended and why. */
export function ConnectionsPage({ session }: { readonly session: Session }): ReactElement {
  const query = useQuery();
  const wanted = useMemo(() => parseWanted(query), [query]);
  const change = (part: Partial<Wanted>) => {
    const to = queryOfWanted({ ...wanted, ...part });
    navigate(`/support/connections${to === "" ? "" : `?${to}`}`);
  };
  return (
    <>
      <h1 className="sr-only">Connections</h1>
      <Bar wanted={wanted} onChange={change} />
      <Streams key={query} wanted={wanted} session={session} onChange={change} />
    </>
  );
}

const every = 3000;

interface StreamsProps {
  readonly wanted: Wanted;
  readonly session: Session;
  readonly onChange: (part: Partial<Wanted>) => void;
}

function Streams({ wanted, session, onChange }: StreamsProps): ReactElement {
  const [lister] = useState(() => new Lister(wanted));
  const { value, error, now } = usePolling(lister.read, every);
  const more = () => {
    lister.more();
    now();
  };
  return (
    <>
      <Numbers
        statistics={value?.statistics}
        node={wanted.node}
        onNode={(node) => {
          onChange({ node, ended: false });
        }}
      />
      {error !== "" && (
        <Failed
          title={value === undefined ? "The connections could not be read" : "This is no longer up to date"}
          error={error}
          onAgain={now}
        />
      )}
      {value === undefined && error === "" && <Waiting what="Reading the connections" />}
      {wanted.user !== "" && !wanted.ended && (value?.connections.length ?? 0) > 0 && (
        <p className="flex flex-wrap items-center gap-3 text-sm">
          <span className="me-auto text-soft">
            <span className="font-medium break-words text-ink">{wanted.user}</span> has{" "}
            {value?.connections.length === 1
              ? "one stream"
              : `${String(value?.connections.length)}${value?.more === true ? " or more" : ""} streams`}
          </span>
          <Ending
            what={`all streams of ${wanted.user}`}
            path={`/api/users/${encodeURIComponent(wanted.user)}/connections`}
            allowed={isAdmin(session)}
            onDone={now}
          >
            Disconnect the user
          </Ending>
        </p>
      )}
      {value !== undefined && <List listed={value} wanted={wanted} session={session} onChanged={now} />}
      {value?.more === true && (
        <p className="flex justify-center">
          <Button
            onClick={more}
            why={
              value.connections.length >= mostListed
                ? "No more are shown. Search for a user, or choose a node."
                : undefined
            }
          >
            Show more
          </Button>
        </p>
      )}
    </>
  );
}

interface NumbersProps {
  readonly statistics: ConnectionPage["statistics"];
  readonly node: string;
  readonly onNode: (node: string) => void;
}

/** What is open in all, and on which node. */
function Numbers({ statistics, node, onNode }: NumbersProps): ReactElement | null {
  if (statistics === undefined) return null;
  const nodes = Object.entries(statistics.nodes).sort(([a], [b]) => a.localeCompare(b));
  return (
    <dl className="flex flex-wrap gap-x-10 gap-y-3">
      <Number name="Open streams" value={statistics.connections} />
      <Number name="Users" value={statistics.users} />
      <div>
        <dt className="text-xs text-soft">Nodes</dt>
        <dd className="mt-1 flex flex-wrap gap-1.5">
          {nodes.length === 0 && <span className="text-faint">None has a stream</span>}
          {nodes.map(([name, streams]) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === node}
              onClick={() => {
                onNode(name === node ? "" : name);
              }}
              className="inline-flex h-7 max-w-full items-center gap-1.5 rounded-full bg-card px-2.5 text-sm ring-1 ring-line ring-inset hover:bg-well aria-pressed:text-accent aria-pressed:ring-accent"
            >
              <span className="truncate">{name}</span> <span className="text-faint tabular-nums">{count(streams)}</span>
            </button>
          ))}
        </dd>
      </div>
    </dl>
  );
}

function Number({ name, value }: { readonly name: string; readonly value: number }): ReactElement {
  return (
    <div>
      <dt className="text-xs text-soft">{name}</dt>
      <dd className="text-2xl font-semibold tracking-tight tabular-nums">{count(value)}</dd>
    </div>
  );
}

function Bar({ wanted, onChange }: Omit<StreamsProps, "session">): ReactElement {
  const [user, setUser] = useState(wanted.user);
  const [shown, setShown] = useState(wanted);
  if (shown !== wanted) {
    setShown(wanted);
    setUser(wanted.user);
  }
  const search = () => {
    if (user.trim() !== wanted.user) onChange({ user: user.trim() });
  };
  return (
    <form
      role="search"
      aria-label="Connections"
      onSubmit={(event) => {
        event.preventDefault();
        search();
      }}
      className="flex flex-wrap items-end gap-3 rounded-2xl bg-card p-3 ring-1 ring-line sm:p-4"
    >
      <Field label="User" value={user} onChange={setUser} onBlur={search} maxLength={200} className="w-full sm:w-72" />
      <Button look="primary" type="submit">
        Search
      </Button>
      <Choice
        legend="Which streams"
        hideLegend
        options={[
          { value: "open", label: "Open now" },
          { value: "ended", label: "Ended" },
        ]}
        value={wanted.ended ? "ended" : "open"}
        onChange={(which) => {
          onChange({ ended: which === "ended", node: "" });
        }}
      />
      {(wanted.user !== "" || wanted.node !== "") && (
        <Button
          look="quiet"
          onClick={() => {
            onChange({ user: "", node: "" });
          }}
        >
          Show everybody
        </Button>
      )}
    </form>
  );
}

interface ListProps {
  readonly listed: Listed;
  readonly wanted: Wanted;
  readonly session: Session;
  readonly onChanged: () => void;
}

function List({ listed, wanted, session, onChanged }: ListProps): ReactElement {
  const { connections } = listed;
  if (connections.length === 0) return <Nobody wanted={wanted} />;
  return (
    <ul
      aria-label={wanted.ended ? "Streams that have ended" : "Open streams"}
      className="divide-y divide-line rounded-2xl bg-card ring-1 ring-line"
    >
      {connections.map((connection) => (
        <ConnectionRow key={connection.id} connection={connection} admin={isAdmin(session)} onChanged={onChanged} />
      ))}
    </ul>
  );
}

function Nobody({ wanted }: { readonly wanted: Wanted }): ReactElement {
  const who = wanted.user === "" ? "" : ` of ${wanted.user}`;
  if (wanted.ended)
    return <Empty title={`No streams${who} have ended`} text="Streams are remembered for 30 days after their end." />;
  return (
    <Empty
      title={wanted.user === "" ? "Nobody is connected" : `${wanted.user} is not connected`}
      text="This page looks again every few seconds."
    />
  );
}

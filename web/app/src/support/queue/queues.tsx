import type { ReactElement } from "react";
import { Link } from "../../components/link";
import { count, sentence } from "../../format";
import type { EntryState, Overview, Queue } from "./api";
import { healthOf, paceOf, type Tone, tones } from "./standing";
import { queuePlace, states, type Wanted } from "./wanted";

const text: Record<Tone, string> = { plain: "text-soft", good: "text-accent", warn: "text-warn", bad: "text-bad" };

interface QueuesProps {
  readonly overview: Overview;
  readonly wanted: Wanted;
}

/** Each queue with its numbers, of which each leads to the entries that it counts. */
export function Queues({ overview, wanted }: QueuesProps): ReactElement {
  const pending = overview.queues.some((q) => (q.counts.pending ?? 0) > 0);
  const shown = states.filter((s) => s !== "pending" || pending);
  const now = Date.parse(overview.at);
  return (
    <section aria-label="Queues" className="rounded-2xl bg-card ring-1 ring-line">
      {overview.queues.length === 0 && (
        <p className="px-4 py-6 text-center text-sm text-soft">There is no queue yet: nothing was ever queued.</p>
      )}
      <ul aria-label="Queues" className="divide-y divide-line">
        {overview.queues.map((queue) => (
          <li key={queue.name} className="grid gap-x-6 gap-y-2 px-3 py-3 sm:grid-cols-[11rem_1fr] sm:px-4">
            <div className="min-w-0">
              <Link
                to={queuePlace({ queue: queue.name })}
                current={wanted.queue === queue.name && wanted.state === ""}
                className="font-medium break-words underline-offset-2 hover:underline aria-[current]:text-accent"
              >
                {queue.name}
              </Link>
              <p className="text-xs">
                {paceOf(queue, now).map((said) => (
                  <span key={said.text} className={`block ${text[said.tone]}`}>
                    {said.text}
                  </span>
                ))}
              </p>
            </div>
            <ul
              aria-label={`Entries of ${queue.name} by state`}
              className="grid grid-cols-[repeat(auto-fit,minmax(5.5rem,1fr))] content-start gap-1"
            >
              {shown.map((state) => (
                <li key={state}>
                  <Count queue={queue} state={state} most={overview.most_counted} wanted={wanted} />
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface CountProps {
  readonly queue: Queue;
  readonly state: EntryState;
  readonly most: number;
  readonly wanted: Wanted;
}

function Count({ queue, state, most, wanted }: CountProps): ReactElement {
  const n = queue.counts[state] ?? 0;
  const look = n === 0 ? "text-faint" : tones[state] === "plain" ? "text-ink" : text[tones[state]];
  return (
    <Link
      to={queuePlace({ queue: queue.name, state })}
      current={wanted.queue === queue.name && wanted.state === state}
      className="block rounded-lg px-2 py-1 ring-line ring-inset hover:bg-well aria-[current]:bg-well aria-[current]:ring-1"
    >
      <span className={`block text-lg font-semibold tracking-tight tabular-nums ${look}`}>
        {n >= most ? `${count(most)}+` : count(n)}
      </span>
      <span className="block text-xs text-soft">{sentence(state)}</span>
    </Link>
  );
}

/** Who works on the queues, or might. */
export function Nodes({ overview }: { readonly overview: Overview }): ReactElement {
  const now = Date.parse(overview.at);
  return (
    <section aria-label="Nodes" className="flex flex-wrap items-center gap-2 text-sm">
      <h2 className="text-xs text-soft">Nodes</h2>
      {overview.nodes.length === 0 && <p className="text-warn">None has entered itself: nothing is worked on.</p>}
      <ul className="contents">
        {overview.nodes.map((node) => {
          const health = healthOf(node, now);
          return (
            <li
              key={node.name}
              className="inline-flex min-h-7 max-w-full flex-wrap items-center gap-x-1.5 rounded-xl bg-card px-2.5 py-0.5 ring-1 ring-line ring-inset"
            >
              <span className="min-w-0 font-medium break-words">{node.name}</span>
              <span className={text[health.tone]}>{health.text}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

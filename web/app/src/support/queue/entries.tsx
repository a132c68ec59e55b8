import type { ReactElement, ReactNode } from "react";
import { Link } from "../../components/link";
import { count, instant, sentence } from "../../format";
import { jobPlace, userPlace } from "../place";
import { Failed, Waiting } from "../states";
import { useAnswer } from "../use-answer";
import type { Entry, EntryDetails } from "./api";
import { standingOf, tones, type Tone } from "./standing";

const dots: Record<Tone, string> = { plain: "bg-edge", good: "bg-accent", warn: "bg-warn-fill", bad: "bg-bad" };

interface EntriesProps {
  readonly entries: readonly Entry[];
  readonly now: number;
  readonly open: number;
  readonly onToggle: (id: number) => void;
}

/** Entries in a line each; one at a time opens in place. */
export function Entries({ entries, now, open, onToggle }: EntriesProps): ReactElement {
  return (
    <ul aria-label="Entries, newest first" className="divide-y divide-line rounded-2xl bg-card ring-1 ring-line">
      {entries.map((entry) => (
        <Row key={entry.id} entry={entry} now={now} open={entry.id === open} onToggle={onToggle} />
      ))}
    </ul>
  );
}

interface RowProps {
  readonly entry: Entry;
  readonly now: number;
  readonly open: boolean;
  readonly onToggle: (id: number) => void;
}

function Row({ entry, now, open, onToggle }: RowProps): ReactElement {
  const id = `entry-${String(entry.id)}`;
  return (
    <li className={open ? "bg-well/40" : undefined}>
      <div className="relative grid min-h-11 grid-cols-[auto_1fr] items-center gap-x-3 px-3 py-2 text-sm hover:bg-well/60 sm:grid-cols-[auto_1fr_16rem_auto] sm:px-4">
        <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${dots[tones[entry.state]]}`} />
        <p className="min-w-0 sm:truncate">
          <button
            type="button"
            aria-expanded={open}
            aria-controls={open ? id : undefined}
            onClick={() => {
              onToggle(entry.id);
            }}
            className="text-start after:absolute after:inset-0 after:content-['']"
          >
            {sentence(entry.kind)}
            <span className="sr-only">, entry {entry.id}</span>
          </button>
          {entry.job !== null && (
            <Link
              to={jobPlace(entry.job.id)}
              className="relative ms-2 text-soft underline-offset-2 hover:text-ink hover:underline"
            >
              {entry.job.title === "" ? `Job ${entry.job.id.slice(-8)}` : entry.job.title}
            </Link>
          )}
          {entry.error !== "" && (
            <span className="text-faint max-sm:line-clamp-2">
              <span className="max-sm:hidden"> — </span>
              {entry.error.split("\n", 1)[0]}
            </span>
          )}
        </p>
        <span className="col-start-2 text-xs text-soft sm:col-start-auto sm:truncate sm:text-end sm:text-sm">
          {standingOf(entry, now)}
        </span>
        <span className="col-start-2 text-xs text-faint tabular-nums sm:col-start-auto sm:text-end">#{entry.id}</span>
      </div>
      {open && (
        <div id={id} className="border-t border-line px-3 py-4 sm:px-4">
          <Details key={`${entry.state} ${String(entry.attempt)}`} id={entry.id} />
        </div>
      )}
    </li>
  );
}

/** What became of an entry, and where it can be changed. */
export function Details({ id }: { readonly id: number }): ReactElement {
  const { answer, error, again } = useAnswer<EntryDetails>(`/api/queue/entries/${String(id)}`);
  if (error !== "") return <Failed title="The entry could not be read" error={error} onAgain={again} />;
  if (answer === undefined) return <Waiting what="Reading the entry" />;
  return (
    <div className="space-y-4 text-sm">
      <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1 sm:grid-cols-[auto_1fr_auto_1fr]">
        <Fact name="State">{sentence(answer.state)}</Fact>
        <Fact name="Queue">{answer.queue}</Fact>
        <Fact name="River’s attempt">
          {count(answer.attempt)} of {count(answer.max_attempts)}
        </Fact>
        <Fact name="Priority">{answer.priority}</Fact>
        <Fact name="Queued">{instant(answer.created_at)}</Fact>
        <Fact name="Due">{instant(answer.scheduled_at)}</Fact>
        <Fact name="Begun">{answer.attempted_at === null ? "Never" : instant(answer.attempted_at)}</Fact>
        <Fact name="Ended">{answer.finalized_at === null ? "Not yet" : instant(answer.finalized_at)}</Fact>
        <Fact name="Begun by">{answer.nodes.length === 0 ? "Nobody" : answer.nodes.join(", ")}</Fact>
        {answer.job !== null && answer.job.owner !== "" && (
          <Fact name="Owner">
            <Link to={userPlace(answer.job.owner)} className="underline underline-offset-2">
              {answer.job.owner}
            </Link>
          </Fact>
        )}
      </dl>
      <Where entry={answer} />
      <Errors entry={answer} />
    </div>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactElement {
  return (
    <>
      <dt className="text-soft">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}

/** Where more of it stands, and where it can be changed. */
function Where({ entry }: { readonly entry: Entry }): ReactElement {
  if (entry.job === null)
    return (
      <p className="text-soft">An errand of Herald’s own. It is no job’s, so there is no page on which to end it.</p>
    );
  const { id, owner } = entry.job;
  return (
    <p className="flex flex-wrap gap-x-4 gap-y-1">
      <Link to={jobPlace(id)} className="text-accent underline underline-offset-2">
        The job’s timeline
      </Link>
      {owner === "" ? (
        <span className="text-soft">The job was removed.</span>
      ) : (
        <Link to={`/jobs/${id}`} className="text-accent underline underline-offset-2">
          The job’s page, where it is cancelled or tried again
        </Link>
      )}
    </p>
  );
}

function Errors({ entry }: { readonly entry: EntryDetails }): ReactElement {
  if (entry.errors.length === 0)
    return <p className="text-soft">No attempt of it has failed, as far as River knows.</p>;
  return (
    <section aria-label="Errors">
      <h3 className="font-medium">Errors</h3>
      <ol className="mt-2 space-y-3">
        {entry.errors.map((failure) => (
          <li key={`${String(failure.attempt)} ${failure.at}`}>
            <p className="text-xs text-soft">
              Attempt {failure.attempt}, <time dateTime={failure.at}>{instant(failure.at)}</time>
            </p>
            <pre className="mt-1 max-h-80 overflow-auto rounded-lg bg-well p-3 text-xs break-words whitespace-pre-wrap">
              {failure.trace === "" ? failure.error : `${failure.error}\n\n${failure.trace}`}
            </pre>
          </li>
        ))}
      </ol>
    </section>
  );
}

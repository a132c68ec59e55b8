import type { Job, Presence } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { linkLook } from "../../components/button";
import { Link } from "../../components/link";
import { StateGlyph } from "../../components/state-glyph";
import { Ago } from "../../components/ticking";
import { percent } from "../../format";
import { stateLabel } from "../../progress";
import { hasEnded } from "../../store";
import { jobPlace, thenPlace } from "../place";
import { Failed, Waiting } from "../states";
import { useAnswer } from "../use-answer";
import { UserConnections } from "./connections";
import { ToldList } from "./told-list";

/** One user, for support: are they there, what do they have, what were they told, and did it come. */
export function UserPage({ user }: { readonly user: string }): ReactElement {
  return (
    <>
      <header className="flex flex-wrap items-start gap-x-4 gap-y-3">
        <div className="min-w-0 flex-1 basis-60">
          <h1 className="text-lg leading-7 font-semibold break-words">{user}</h1>
          <Present user={user} />
        </div>
        <Link to={thenPlace(user)} className={linkLook}>
          Their page, as they saw it
        </Link>
      </header>
      <div className="grid items-start gap-4 lg:grid-cols-[1fr_22rem]">
        <ToldList user={user} />
        <div className="space-y-4">
          <Panel title="Jobs">
            <Jobs user={user} />
          </Panel>
          <Panel title="Connections">
            <UserConnections user={user} />
          </Panel>
        </div>
      </div>
    </>
  );
}

function Present({ user }: { readonly user: string }): ReactElement {
  const { answer, error } = useAnswer<Presence>(`/api/users/${encodeURIComponent(user)}/presence`);
  if (error !== "") return <p className="text-sm text-bad">{error}</p>;
  if (answer === undefined) return <p className="text-sm text-faint">Looking whether they are here</p>;
  const { online, visible, connections, since, last_active_at: active } = answer;
  const streams = connections === 1 ? "one connection" : `${String(connections)} connections`;
  return (
    <p className="flex items-start gap-x-2 text-sm text-soft">
      <span aria-hidden="true" className={`mt-1.5 size-2 shrink-0 rounded-full ${online ? "bg-accent" : "bg-edge"}`} />
      {online ? (
        <span>
          <span className="font-medium text-accent">Connected</span>, {streams}
          {since !== null && (
            <>
              , the first opened <Ago iso={since} />
            </>
          )}
          {visible ? ", looking at the page" : ", not looking at the page"}
        </span>
      ) : (
        <span>
          Not connected
          {active === null ? ", and not seen as far as is remembered" : <>, last active {<Ago iso={active} />}</>}
        </span>
      )}
    </p>
  );
}

function Panel({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactElement {
  return (
    <section aria-label={title} className="rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
      <h2 className="mb-2 font-medium">{title}</h2>
      {children}
    </section>
  );
}

/** How many of the user's jobs are listed. */
const mostJobs = 20;

function Jobs({ user }: { readonly user: string }): ReactElement {
  const path = `/api/jobs?owner=${encodeURIComponent(user)}&limit=${String(mostJobs)}`;
  const { answer, error, again } = useAnswer<{ jobs: Job[]; next: string }>(path);
  if (error !== "") return <Failed title="Their jobs could not be read" error={error} onAgain={again} />;
  if (answer === undefined) return <Waiting what="Reading their jobs" />;
  if (answer.jobs.length === 0) return <p className="text-sm text-soft">They have none.</p>;
  return (
    <>
      <ul className="-mx-2 text-sm">
        {answer.jobs.map((job) => (
          <li key={job.id}>
            <Link to={jobPlace(job.id)} className="flex items-center gap-3 rounded-lg px-2 py-1.5 hover:bg-well">
              <StateGlyph job={job} />
              <span className="min-w-0 flex-1">
                <span className="block truncate">{job.title}</span>
                <span className="block truncate text-xs text-soft tabular-nums">
                  {hasEnded(job) ? stateLabel(job) : `${stateLabel(job)}, ${percent(job.progress)}`}{" "}
                  <Ago iso={job.updated_at} />
                </span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
      {answer.next !== "" && <p className="mt-2 text-xs text-faint">These are the newest {mostJobs}.</p>}
    </>
  );
}

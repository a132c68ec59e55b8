import { EventStream, type HeraldClient, type Job, type Session, SharedStream, type StreamState } from "@herald/client";
import { createContext, useCallback, useContext, useSyncExternalStore } from "react";
import { Clock, useNow } from "./clock";
import { FileDatabase } from "./kept-files";
import { Live } from "./live";
import { News } from "./news";
import type { Notice } from "./notices";
import { SightContext } from "./sight";
import { JobStore, type JobList } from "./store";
import { showVisibility, tellSystem } from "./system-notices";
import { hasArrived, UnfinishedList } from "./unfinished";
import { Uploads } from "./uploads";

/** Desk is all that the pages of a signed-in user work with. */
export interface Desk {
  readonly client: HeraldClient;
  readonly clock: Clock;
  readonly store: JobStore;
  readonly live: Live;
  readonly uploads: Uploads;
  readonly news: News;
  /** Somebody without an account looks at one job: nothing can be done with it. */
  readonly guest?: true;
  /** Why nothing can be done with the jobs here: they are looked at as they were. */
  readonly readOnly?: string;
}

/** A desk of the user's, that nothing happens at until openDesk. All of the user's tabs share one stream. */
export function newDesk(client: HeraldClient, user: string, onSignedOut: () => void): Desk {
  const clock = new Clock();
  const store = new JobStore();
  const kept = { list: new UnfinishedList(user), files: new FileDatabase(user), arrived: hasArrived };
  const uploads = new Uploads(client, store.put.bind(store), kept);
  const live = new Live(client, store, clock, onSignedOut, (on, topics) =>
    topics === undefined
      ? new SharedStream({ url: "/api/sse", user, ...on })
      : // A look at what is others' does not mean that it has reached them.
        new EventStream({ url: "/api/sse", topics, acknowledge: false, whileVisible: true, ...on }),
  );
  const news = new News(client, user, {
    visible: () => document.visibilityState === "visible",
    seen: isLookedAt,
    tell: (notice) => void tellSystem(notice).catch(() => undefined),
  });
  return { client, clock, store, uploads, live, news };
}

/** Opens the stream; the function that it returns ends all that goes on at the desk. */
export function openDesk(desk: Desk): () => void {
  const ends = [desk.live.open()];
  // To a guest nothing is told but of the job that they look at.
  if (desk.guest === undefined) ends.push(desk.news.open(desk.live.subscribeLog), showVisibility());
  // What cannot be read now is there when the page is loaded again.
  desk.uploads.restore().catch(() => undefined);
  return () => {
    for (const end of ends) end();
    desk.uploads.close();
  };
}

/** Whether what the notice is about stands before the reader's eyes: its own page, or its card within the window. */
function isLookedAt({ job }: Notice): boolean {
  if (job === "") return false;
  if (location.pathname === `/jobs/${job}`) return true;
  const box = document.querySelector(`[data-job="${CSS.escape(job)}"]`)?.getBoundingClientRect();
  return box !== undefined && box.bottom > 0 && box.top < window.innerHeight;
}

export const DeskContext = createContext<Desk | undefined>(undefined);

/** The desk of the signed-in user, around whose pages a DeskContext stands. */
export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === undefined) throw new Error("useDesk outside a DeskContext");
  return desk;
}

/** Who is signed in; undefined where nobody asks. */
export const SessionContext = createContext<Session | undefined>(undefined);

/** Whether the reader may change the job, or only look at it. */
export function useMayChange(job: Job): boolean {
  const session = useContext(SessionContext);
  return session === undefined || session.user === job.owner || session.roles.includes("admin");
}

/** The job as last heard of; the component renders again only when this job changes, by turns where it is out of sight. */
export function useJob(id: string): Job | undefined {
  const { store } = useDesk();
  const inSight = useContext(SightContext);
  const subscribe = useCallback(
    (changed: () => void) => (inSight ? store.subscribeJob(id, changed) : store.subscribeJobByTurns(id, changed)),
    [store, id, inSight],
  );
  return useSyncExternalStore(subscribe, () => store.job(id));
}

/** The order of the jobs; it changes when one comes, goes or ends, not with progress. */
export function useJobList(): JobList {
  const { store } = useDesk();
  return useSyncExternalStore(store.subscribeList, store.list);
}

/** Whether the page shows what is so now. */
export function useConnection(): StreamState {
  const { live } = useDesk();
  return useSyncExternalStore(live.subscribeState, live.state);
}

/** The server's time, once a second; out of sight, what it was when there was something else to show. */
export function useTime(): number {
  return useNow(useDesk().clock, useContext(SightContext));
}

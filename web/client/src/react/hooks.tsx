import {
  type Artifact,
  EventStream,
  type EventStreamOptions,
  HeraldClient,
  HeraldError,
  type HeraldAPI,
  type JobFilter,
  type Presence,
  SharedStream,
  type StreamState,
} from "@herald/client";
import {
  createContext,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { JobModel, JobsModel, type JobsView, type JobView, noneYet, nothingYet } from "./jobs.js";
import { type Handler, Live, type OpenStream } from "./live.js";

/** What is followed, and how the server is reached. */
export interface HeraldProviderProps {
  readonly client: HeraldAPI;
  /** Who is signed in: with it, all tabs of theirs share one connection. */
  readonly user?: string;
  /** The stream's address; by default "/api/sse". */
  readonly url?: string;
  /** More of the stream: topics, filters, a token. */
  readonly stream?: Omit<EventStreamOptions, "url" | "onEvent" | "onState" | "lastEventId">;
  /** Opens a stream of another kind, such as a test's. */
  readonly openStream?: OpenStream;
  readonly children?: ReactNode;
}

const LiveContext = createContext<Live | undefined>(undefined);

/**
 * Holds the stream that the hooks below it show, for as long as it is there. What it is given first counts: for
 * another user, give it another key.
 */
export function HeraldProvider({ children, ...props }: HeraldProviderProps): ReactElement {
  const [live] = useState(() => new Live(props.client, props.openStream ?? opener(props)));
  useEffect(() => live.open(), [live]);
  return <LiveContext.Provider value={live}>{children}</LiveContext.Provider>;
}

function opener({ user, url = "/api/sse", stream }: Pick<HeraldProviderProps, "user" | "url" | "stream">): OpenStream {
  return (on) =>
    user === undefined ? new EventStream({ ...stream, url, ...on }) : new SharedStream({ ...stream, url, user, ...on });
}

/** A stream that asks for its options when it is opened. */
function ownLive(options: () => EventSourceOptions): Live {
  return new Live(new HeraldClient(), (on) => {
    const { user, url, openStream, ...stream } = options();
    return (openStream ?? opener({ ...(user !== undefined && { user }), ...(url !== undefined && { url }), stream }))(
      on,
    );
  });
}

function useLive(): Live {
  const live = useContext(LiveContext);
  if (live === undefined) throw new Error("Herald's hooks need a <HeraldProvider> around them");
  return live;
}

/** The client of the provider. */
export function useHerald(): HeraldAPI {
  return useLive().client;
}

/** The stream itself. */
export interface EventSourceView {
  /** What is shown is so now. */
  readonly connected: boolean;
  readonly state: StreamState;
  /** Why the stream is closed for good. */
  readonly error: HeraldError | undefined;
  /** Calls the handler with each event of the type, until it is removed or the component is gone: "job.*", "*". */
  readonly addHandler: (type: string, handler: Handler) => void;
  readonly removeHandler: (type: string, handler: Handler) => void;
}

/** A stream of a component's own, beside the provider's or without one. */
export interface EventSourceOptions extends Omit<EventStreamOptions, "url" | "onEvent" | "onState" | "lastEventId"> {
  /** The stream's address; by default "/api/sse". */
  readonly url?: string;
  /** Who is signed in: with it, all tabs of theirs share one connection. */
  readonly user?: string;
  /** Opens a stream of another kind, such as a test's. */
  readonly openStream?: OpenStream;
}

/**
 * Follows the provider's stream; with options, one of the component's own, for which no provider has to be there. When
 * its address, its user, its topics or its filters change, it begins anew.
 */
export function useEventSource(options?: EventSourceOptions): EventSourceView {
  const around = useContext(LiveContext);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { url, user, topics, types, metadata } = options ?? {};
  const key = options && JSON.stringify([url, user, topics, types, metadata]);
  const own = useMemo(() => (key === undefined ? undefined : ownLive(() => latest.current ?? {})), [key]);
  useEffect(() => own?.open(), [own]);
  const live = own ?? around;
  if (live === undefined) throw new Error("useEventSource needs options, or a <HeraldProvider> around it");
  const state = useSyncExternalStore(live.subscribeState, live.state, live.state);
  const added = useRef<[string, Handler][]>([]);
  const addHandler = useCallback(
    (type: string, handler: Handler) => {
      added.current.push([type, handler]);
      live.addHandler(type, handler);
    },
    [live],
  );
  const removeHandler = useCallback(
    (type: string, handler: Handler) => {
      added.current = added.current.filter(([t, h]) => t !== type || h !== handler);
      live.removeHandler(type, handler);
    },
    [live],
  );
  useEffect(
    () => () => {
      for (const [type, handler] of added.current) live.removeHandler(type, handler);
      added.current = [];
    },
    [live],
  );
  return { connected: state === "live", state, error: live.error, addHandler, removeHandler };
}

/** A job, and what can be done with it. Each call rejects with a HeraldError when the server refuses. */
export interface UsedJob extends JobView {
  /** Asks for the job's end, and shows it as asked for at once. */
  readonly cancel: () => Promise<void>;
  /** Gives a failed or cancelled job another life. */
  readonly retry: () => Promise<void>;
}

/** Follows a job, by version and never back. One that is not on the stream's topics is read once. */
export function useJob(id: string): UsedJob {
  const live = useLive();
  const key = `job ${id}`;
  const subscribe = useCallback(
    (listener: () => void) => live.follow(key, (changed) => new JobModel(live.client, id, changed), listener),
    [live, key, id],
  );
  const look = () => (live.view(key) as JobView | undefined) ?? nothingYet;
  const view = useSyncExternalStore(subscribe, look, () => nothingYet);
  const actions = useMemo(() => {
    const model = () => live.model(key) as JobModel | undefined;
    return {
      cancel: async () => {
        await (model()?.cancel() ?? live.client.cancelJob(id));
      },
      retry: async () => {
        const job = await live.client.retryJob(id);
        model()?.put(job);
      },
    };
  }, [live, key, id]);
  return useMemo(() => ({ ...view, ...actions }), [view, actions]);
}

/** Jobs, and how to read older ones. */
export interface UsedJobs extends JobsView {
  /** Reads the next older page; rejects when it cannot. */
  readonly more: () => Promise<void>;
}

/** Follows the jobs that match, the newest first. */
export function useJobs(filter: Omit<JobFilter, "before"> = {}): UsedJobs {
  const live = useLive();
  const key = `jobs ${JSON.stringify([filter.state, filter.kind, filter.limit])}`;
  const subscribe = useCallback(
    (listener: () => void) => {
      const [state, kind, limit] = JSON.parse(key.slice(5)) as [JobFilter["state"], string | null, number | null];
      const wanted = { ...(state && { state }), ...(kind !== null && { kind }), ...(limit !== null && { limit }) };
      return live.follow(key, (changed) => new JobsModel(live.client, wanted, changed), listener);
    },
    [live, key],
  );
  const look = () => (live.view(key) as JobsView | undefined) ?? noneYet;
  const view = useSyncExternalStore(subscribe, look, () => noneYet);
  const more = useCallback(async () => {
    await (live.model(key) as JobsModel | undefined)?.more();
  }, [live, key]);
  return useMemo(() => ({ ...view, more }), [view, more]);
}

/** An upload, and how to begin and to stop it. */
export interface UsedUpload {
  /** It waits while the network or the server is away, and goes on by itself. */
  readonly status: "idle" | "uploading" | "waiting" | "done" | "failed";
  readonly loaded: number;
  readonly total: number;
  readonly artifact: Artifact | undefined;
  readonly error: Error | undefined;
  /**
   * Sends a file, in place of one that is under way; rejects when it cannot. A file that was begun before, on this page
   * or on one that was reloaded, is taken up where it was.
   */
  readonly upload: (file: File) => Promise<Artifact>;
  /** Stops it for good. */
  readonly abort: () => void;
}

const idle: Omit<UsedUpload, "upload" | "abort"> = {
  status: "idle",
  loaded: 0,
  total: 0,
  artifact: undefined,
  error: undefined,
};

/** Sends one file at a time. One under way is stopped when the component goes, and can be taken up again. */
export function useUpload(): UsedUpload {
  const { client } = useLive();
  const [state, setState] = useState(idle);
  const current = useRef<AbortController>(undefined);
  const begun = useRef<string>(undefined);
  const abort = useCallback(() => {
    current.current?.abort();
    current.current = undefined;
    // What cannot be ended now goes by itself in a day.
    if (begun.current !== undefined) client.cancelUpload(begun.current).catch(() => undefined);
    begun.current = undefined;
    setState(idle);
  }, [client]);
  useEffect(
    () => () => {
      current.current?.abort();
    },
    [],
  );
  const upload = useCallback(
    async (file: File) => {
      current.current?.abort();
      const mine = new AbortController();
      current.current = mine;
      const show = (change: Partial<typeof idle>) => {
        if (current.current === mine) setState((old) => ({ ...old, ...change }));
      };
      begun.current = undefined;
      setState({ ...idle, status: "uploading", total: file.size });
      try {
        const artifact = await client.upload(file, {
          signal: mine.signal,
          onProgress: show,
          onBegin: (id) => {
            if (current.current === mine) begun.current = id;
          },
          onWait: (error) => {
            show(error === undefined ? { status: "uploading", error } : { status: "waiting", error });
          },
        });
        if (current.current === mine) begun.current = undefined;
        show({ status: "done", loaded: file.size, artifact });
        return artifact;
      } catch (err) {
        show({ status: "failed", error: err as Error });
        throw err;
      }
    },
    [client],
  );
  return useMemo(() => ({ ...state, upload, abort }), [state, upload, abort]);
}

/** Whether a user is there, as last heard of. */
export interface UsedPresence {
  readonly presence: Presence | undefined;
  readonly error: Error | undefined;
}

const unknown: UsedPresence = { presence: undefined, error: undefined };

/** Asks whether a user is there, again and again while the page is visible; not after the server has refused. */
export function usePresence(user: string, { every = 15_000 }: { every?: number } = {}): UsedPresence {
  const { client } = useLive();
  const [state, setState] = useState({ user, shown: unknown });
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      let refused = false;
      try {
        const presence = await client.presence(user);
        if (!end.signal.aborted) setState({ user, shown: { presence, error: undefined } });
      } catch (err) {
        refused = err instanceof HeraldError && err.status < 500 && err.status !== 429;
        if (!end.signal.aborted) setState({ user, shown: { presence: undefined, error: err as Error } });
      }
      if (!end.signal.aborted && !refused) timer = setTimeout(look, every);
    };
    const look = () => {
      timer = undefined;
      if (document.visibilityState === "visible") void ask();
      else document.addEventListener("visibilitychange", look, { once: true, signal: end.signal });
    };
    look();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [client, user, every]);
  return state.user === user ? state.shown : unknown;
}

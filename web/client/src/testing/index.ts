import {
  type Artifact,
  HeraldError,
  type HeraldAPI,
  type Job,
  type JobState,
  type LogEvent,
  type NewJob,
  type Share,
  type TimelineFilter,
  type StreamEvent,
  type StreamState,
} from "@herald/client";

/** Whom a stream tells. */
export interface FakeStreamHandlers {
  onEvent(event: StreamEvent): void;
  onState?(state: StreamState, error?: HeraldError): void;
  readonly lastEventId?: string;
}

/** A stream in memory: it tells what the test says. */
export class FakeStream {
  readonly #on: FakeStreamHandlers;
  state: StreamState = "connecting";
  lastEventId: string;

  constructor(on: FakeStreamHandlers) {
    this.#on = on;
    this.lastEventId = on.lastEventId ?? "";
  }

  /** Tells an event, as if it had come. */
  say(event: StreamEvent): void {
    if (this.state === "closed") return;
    if ("seq" in event) this.lastEventId = String(event.seq);
    this.#on.onEvent(event);
  }

  setState(state: StreamState, error?: HeraldError): void {
    if (this.state === "closed" || this.state === state) return;
    this.state = state;
    this.#on.onState?.(state, error);
  }

  close(): void {
    this.state = "closed";
  }
}

/** What a fake server begins with. */
export interface FakeHeraldOptions {
  /** Who is signed in; by default "alice". */
  readonly user?: string;
}

/**
 * FakeHerald is a Herald in memory, for the tests of those who use the client: its
 * `client` answers from memory, its `openStream` opens streams that tell what the
 * test makes happen. Jobs do nothing by themselves.
 */
export class FakeHerald {
  readonly client: HeraldAPI = this.#client();
  /** The streams that are open. */
  readonly streams = new Set<FakeStream>();
  /** The calls that were made: their names and arguments. */
  readonly calls: [name: string, ...args: unknown[]][] = [];
  readonly user: string;
  readonly #jobs = new Map<string, Job>();
  #shares: Share[] = [];
  readonly #log: (LogEvent & StreamEvent)[] = [];
  readonly #failures = new Map<string, Error[]>();
  #up = true;
  #ids = 0;
  #clients = 0;

  constructor({ user = "alice" }: FakeHeraldOptions = {}) {
    this.user = user;
  }

  /** Opens a stream; it is let in a moment later. */
  readonly openStream = (on: FakeStreamHandlers): FakeStream => {
    const stream = new FakeStream(on);
    this.streams.add(stream);
    queueMicrotask(() => {
      if (this.#up) this.#letIn(stream);
      else stream.setState("reconnecting");
    });
    return stream;
  };

  /** The job as it stands. */
  job(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw problem(404, "There is no such job");
    return job;
  }

  /** Has a job, and tells of it. */
  addJob(change: Partial<Job> = {}): Job {
    const job: Job = { ...blank(this.#newId(), this.user), ...change };
    this.#record("job.queued", job);
    return job;
  }

  /** Changes a job, as its worker's report would, and tells of it. */
  report(id: string, change: Partial<Job>): Job {
    const old = this.job(id);
    const job: Job = { ...old, ...change, version: old.version + 1 };
    this.#record(change.state === undefined ? "job.progress" : typeOf(change.state), job);
    return job;
  }

  /** Tells a notification. */
  notify(type: `notification.${string}`, data: unknown): void {
    this.#tell({ ...this.#entry(), type, data });
  }

  /** Cuts all streams; until `connect`, none is let in. */
  cut(): void {
    this.#up = false;
    this.#each((stream) => {
      stream.setState("reconnecting");
    });
  }

  /** Lets streams in again: they resume where they were. */
  connect(): void {
    this.#up = true;
    this.#each((stream) => {
      if (stream.state !== "live") this.#letIn(stream);
    });
  }

  /** Ends all streams for good, as when the sign-in has expired. */
  expire(): void {
    const error = problem(401, "Your sign-in has expired");
    this.#each((stream) => {
      stream.setState("closed", error);
    });
  }

  /** Has the next call of the client's method fail; by default because the server is away. */
  fail(method: keyof HeraldAPI, error: Error = problem(503, "The server is away")): void {
    this.#failures.set(method, [...(this.#failures.get(method) ?? []), error]);
  }

  #each(call: (stream: FakeStream) => void): void {
    for (const stream of [...this.streams]) {
      if (stream.state === "closed") this.streams.delete(stream);
      else call(stream);
    }
  }

  #letIn(stream: FakeStream): void {
    const cursor = stream.lastEventId === "" ? undefined : Number(stream.lastEventId);
    stream.setState("live");
    const open = {
      client_id: `client-${String(++this.#clients)}`,
      node: "fake",
      user: this.user,
      topics: [`user:${this.user}`, "all"],
      heartbeat_ms: 15_000,
      ack_ms: 0,
      head: cursor ?? this.#log.length,
      resumed: cursor !== undefined,
    };
    stream.say({ type: "stream.open", data: open });
    if (cursor !== undefined) {
      for (const event of this.#log.slice(cursor)) stream.say(event);
      return;
    }
    stream.lastEventId = String(this.#log.length);
    stream.say({
      type: "stream.snapshot",
      data: { jobs: [...this.#jobs.values()].filter((job) => !ended(job.state)) },
    });
  }

  #record(type: string, job: Job): void {
    this.#jobs.set(job.id, job);
    this.#tell({ ...this.#entry(), type, data: job } as LogEvent & StreamEvent);
  }

  #entry() {
    const seq = this.#log.length + 1;
    return { seq, id: `event-${String(seq)}`, time: new Date().toISOString() };
  }

  #tell(event: LogEvent & StreamEvent): void {
    this.#log.push(event);
    this.#each((stream) => {
      if (stream.state === "live") stream.say(event);
    });
  }

  #share(job: string, seconds: number, files: boolean): Share & { readonly url: string } {
    const id = this.#newId();
    const share: Share = {
      id,
      job_id: this.job(job).id,
      files,
      created_at: new Date().toISOString(),
      created_by: this.user,
      expires_at: new Date(Date.now() + seconds * 1000).toISOString(),
      opened_at: null,
      revoked_at: null,
      revoked_by: "",
    };
    this.#shares.push(share);
    return { ...share, url: `/shared/${job}#hs_${id}` };
  }

  #newId(): string {
    return `00000000-0000-7000-8000-${String(++this.#ids).padStart(12, "0")}`;
  }

  #client(): HeraldAPI {
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    const session = () => ({ user: this.user, roles: ["user"], expires_at });
    const answers: {
      [Name in keyof HeraldAPI]: (...args: Parameters<HeraldAPI[Name]>) => Awaited<ReturnType<HeraldAPI[Name]>>;
    } = {
      session,
      signIn: session,
      signOut: () => undefined,
      listJobs: ({ state, kind, limit = 50, before = "" } = {}) => {
        const matching = [...this.#jobs.values()]
          .filter((j) => (kind === undefined || j.kind === kind) && (before === "" || j.id < before))
          .filter((j) => state === undefined || state === j.state || state === (ended(j.state) ? "ended" : "active"))
          .sort((a, b) => (a.id < b.id ? 1 : -1));
        const jobs = matching.slice(0, limit);
        return { jobs, next: matching.length > limit ? (jobs.at(-1)?.id ?? "") : "" };
      },
      job: (id) => this.job(id),
      startJob: (job: NewJob) => this.addJob(job),
      cancelJob: (id) => this.report(id, { state: this.job(id).state === "running" ? "cancelling" : "cancelled" }),
      retryJob: (id) => this.report(id, { state: "queued", progress: 0 }),
      deleteJob: (id) => {
        const { version } = this.job(id);
        this.#jobs.delete(id);
        this.#tell({ ...this.#entry(), type: "job.deleted", data: { id, version: version + 1 } });
      },
      jobEvents: (id, filter) => this.#timeline(id, filter),
      jobCurve: (id) => ({
        points: this.#of(id).flatMap(({ seq, time, type, data }) => {
          const { attempt, progress } = data as Job;
          return type === "job.queued" || type === "job.deleted" ? [] : [{ seq, time, attempt, progress }];
        }),
      }),
      linkArtifact: (id, seconds) => ({
        url: `/api/artifacts/${id}?signature=fake`,
        expires_at: new Date(Date.now() + seconds * 1000).toISOString(),
      }),
      events: () => ({ events: [], next: "", floor: 0 }),
      jobArtifacts: () => ({ artifacts: [] }),
      shareJob: (id, { expires_in = 604_800, files = false }) => this.#share(id, expires_in, files),
      shares: (id) => ({ shares: this.#shares.filter((s) => s.job_id === id).reverse() }),
      revokeShare: (_, id) => {
        this.#shares = this.#shares.map((s) =>
          s.id === id ? { ...s, revoked_at: new Date().toISOString(), revoked_by: this.user } : s,
        );
      },
      presence: (user) => ({
        user,
        online: user === this.user && this.streams.size > 0,
        connections: user === this.user ? this.streams.size : 0,
        since: null,
        last_active_at: null,
        visible: false,
      }),
      kinds: () => ({ kinds: [], max_upload_bytes: 1 << 30 }),
      datasets: () => ({ datasets: [], formats: ["csv"], compressions: ["none"] }),
      ticket: () => "ticket",
      upload: (file, options) => {
        options?.signal?.throwIfAborted();
        options?.onProgress?.({ loaded: file.size, total: file.size });
        return this.#artifact(file);
      },
      uploads: () => ({ uploads: [] }),
      cancelUpload: () => undefined,
    };
    const methods = Object.entries(answers).map(([name, answer]) => [
      name,
      async (...args: unknown[]) => {
        await Promise.resolve();
        this.calls.push([name, ...args]);
        const failure = this.#failures.get(name)?.shift();
        if (failure !== undefined) throw failure;
        return (answer as (...args: unknown[]) => unknown)(...args);
      },
    ]);
    return Object.fromEntries(methods) as HeraldAPI;
  }

  #of(id: string): LogEvent[] {
    return this.#log.filter((event) => (event.data as { id?: string }).id === id);
  }

  #timeline(
    id: string,
    { types = [], after = 0, before = Infinity, order = "asc", limit = 1000 }: TimelineFilter = {},
  ) {
    const wanted = (type: string) =>
      types.some((t) => t === type || (t.endsWith("*") && type.startsWith(t.slice(0, -1))));
    const found = this.#of(id).filter(
      ({ seq, type }) => seq > after && seq < before && (types.length === 0 || wanted(type)),
    );
    if (order === "desc") found.reverse();
    return { events: found.slice(0, limit), next: found.length > limit ? "more" : "", floor: 0 };
  }

  #artifact(file: File): Artifact {
    const id = this.#newId();
    return {
      id,
      job_id: null,
      kind: "upload",
      name: file.name,
      content_type: file.type,
      size: file.size,
      sha256: "",
      url: `/api/artifacts/${id}`,
      created_at: new Date().toISOString(),
      details: {},
    };
  }
}

function ended(state: JobState): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

function typeOf(state: JobState): string {
  return state === "running" ? "job.started" : `job.${state}`;
}

function problem(status: number, title: string): HeraldError {
  return new HeraldError({ type: "about:blank", title, status });
}

function blank(id: string, owner: string): Job {
  const now = new Date().toISOString();
  return {
    id,
    kind: "test",
    owner,
    title: "A job",
    state: "queued",
    stalled: false,
    attempt: 1,
    max_attempts: 3,
    version: 1,
    progress: 0,
    step: "",
    steps: [],
    processed: null,
    total: null,
    unit: "",
    message: "",
    remaining_ms: null,
    details: {},
    error: "",
    retry_at: null,
    result: null,
    args: {},
    external: false,
    worker: "",
    lease_ms: null,
    cancel_asked_at: null,
    attempt_started_at: null,
    estimate: null,
    created_at: now,
    started_at: null,
    heartbeat_at: null,
    updated_at: now,
    finished_at: null,
  };
}

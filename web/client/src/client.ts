import { fullJitter } from "./backoff.js";
import { HeraldError } from "./error.js";
import type { TokenSource } from "./stream.js";
import type { UploadOptions } from "./upload.js";
import type {
  Artifact,
  CurvePoint,
  Datasets,
  EventPage,
  Job,
  JobKinds,
  JobPage,
  JobState,
  Link,
  Presence,
  Session,
  Share,
  UnfinishedUpload,
} from "./wire.js";

/** How a client reaches its server. */
export interface ClientOptions {
  /** The server's origin; by default the page's own. */
  readonly baseURL?: string;
  /** A bearer token for each request, where there is no cookie. */
  readonly token?: TokenSource;
  /** Whether cookies go along; by default to the page's own origin. */
  readonly credentials?: RequestCredentials;
}

/** Which jobs are listed. */
export interface JobFilter {
  readonly state?: JobState | "active" | "ended";
  readonly kind?: string;
  /** What stands in the title. */
  readonly text?: string;
  readonly limit?: number;
  /** The `next` of the page before. */
  readonly before?: string;
}

/** Which of a job's events are read. */
export interface TimelineFilter {
  /** Only of these types; "job.*" means all that begin so. */
  readonly types?: readonly string[];
  /** Only those behind that seq, or before it. */
  readonly after?: number;
  readonly before?: number;
  /** The oldest first, which is usual, or the newest. */
  readonly order?: "asc" | "desc";
  readonly limit?: number;
}

/** Which of the log's entries are listed. */
export interface EventFilter {
  readonly topic?: readonly string[];
  /** "job.*" means all that begin so. */
  readonly type?: readonly string[];
  /** Only those whose metadata has, for each key, the value or one of the values. */
  readonly metadata?: Readonly<Record<string, string | readonly string[]>>;
  readonly limit?: number;
}

/** What a new job is. */
export interface NewJob {
  readonly kind: string;
  readonly title: string;
  readonly args: unknown;
}

/** HeraldClient calls the API. Each call rejects with a HeraldError when the server refuses. */
export class HeraldClient {
  readonly #base: string;
  readonly #token: ClientOptions["token"];
  readonly #credentials: RequestCredentials;

  constructor(options: ClientOptions = {}) {
    this.#base = options.baseURL ?? "";
    this.#token = options.token;
    this.#credentials = options.credentials ?? "same-origin";
  }

  /** Who is signed in. */
  session(): Promise<Session> {
    return this.#json("GET", "/api/session");
  }

  /** Signs in: the server keeps the token in a cookie that scripts cannot read. */
  signIn(token: string): Promise<Session> {
    return this.#json("POST", "/api/session", undefined, { authorization: `Bearer ${token}` });
  }

  async signOut(): Promise<void> {
    await this.#call("DELETE", "/api/session");
  }

  /** One page of the user's jobs, the newest first. */
  listJobs(filter: JobFilter = {}): Promise<JobPage> {
    return this.#json("GET", `/api/jobs?${queryOf(filter).toString()}`);
  }

  job(id: string): Promise<Job> {
    return this.#json("GET", `/api/jobs/${encodeURIComponent(id)}`);
  }

  /** Starts a job. Under a key that was used before, it is the job that was started then. */
  startJob(job: NewJob, key?: string): Promise<Job> {
    return this.#json("POST", "/api/jobs", job, key === undefined ? {} : { "idempotency-key": key });
  }

  /** Asks for a job's end. */
  cancelJob(id: string): Promise<Job> {
    return this.#json("POST", `/api/jobs/${encodeURIComponent(id)}/cancel`);
  }

  /** Gives a failed or cancelled job another life. */
  retryJob(id: string): Promise<Job> {
    return this.#json("POST", `/api/jobs/${encodeURIComponent(id)}/retry`);
  }

  /** Makes a link that shows a job to whoever has it; the path of its page is told this once. */
  shareJob(id: string, link: { expires_in?: number; files?: boolean }): Promise<Share & { readonly url: string }> {
    return this.#json("POST", `/api/jobs/${encodeURIComponent(id)}/shares`, link);
  }

  /** The links that show a job, the newest first. */
  shares(id: string): Promise<{ shares: readonly Share[] }> {
    return this.#json("GET", `/api/jobs/${encodeURIComponent(id)}/shares`);
  }

  /** Makes a link show nothing any more. */
  async revokeShare(id: string, share: string): Promise<void> {
    await this.#call("DELETE", `/api/jobs/${encodeURIComponent(id)}/shares/${encodeURIComponent(share)}`);
  }

  /** Removes an ended job and what it made. */
  async deleteJob(id: string): Promise<void> {
    await this.#call("DELETE", `/api/jobs/${encodeURIComponent(id)}`);
  }

  /** A page of a job's timeline. */
  jobEvents(id: string, { types = [], ...page }: TimelineFilter = {}): Promise<EventPage> {
    const query = queryOf(page);
    for (const type of types) query.append("type", type);
    return this.#json("GET", `/api/jobs/${encodeURIComponent(id)}/events?${query.toString()}`);
  }

  /** How far a job was when. */
  jobCurve(id: string): Promise<{ points: readonly CurvePoint[] }> {
    return this.#json("GET", `/api/jobs/${encodeURIComponent(id)}/curve`);
  }

  /** A link that shows a file to whoever has it, for so many seconds. */
  linkArtifact(id: string, seconds: number): Promise<Link> {
    return this.#json("POST", `/api/artifacts/${encodeURIComponent(id)}/links`, { expires_in: seconds });
  }

  /** The newest of the log's entries that the user may see, the newest first. */
  events({ metadata = {}, ...filter }: EventFilter = {}): Promise<EventPage> {
    const query = new URLSearchParams();
    const keyed = Object.entries(metadata).map(([key, values]) => [`metadata.${key}`, values] as const);
    for (const [name, value] of [...Object.entries(filter), ...keyed])
      for (const one of [value].flat()) query.append(name, String(one));
    return this.#json("GET", `/api/events?${query.toString()}`);
  }

  /** What a job made. */
  jobArtifacts(id: string): Promise<{ artifacts: readonly Artifact[] }> {
    return this.#json("GET", `/api/jobs/${encodeURIComponent(id)}/artifacts`);
  }

  /** A ticket that opens one stream within the next seconds, where no header may be sent. */
  async ticket(): Promise<string> {
    return (await this.#json<{ ticket: string }>("POST", "/api/tickets")).ticket;
  }

  /** Whether a user is there. */
  presence(user: string): Promise<Presence> {
    return this.#json("GET", `/api/users/${encodeURIComponent(user)}/presence`);
  }

  /** What Herald's workers can do. */
  kinds(): Promise<JobKinds> {
    return this.#json("GET", "/api/kinds");
  }

  /** What the user may export. */
  datasets(): Promise<Datasets> {
    return this.#json("GET", "/api/exports/datasets");
  }

  /**
   * Sends a file, and goes on where it was whenever the network or the server was away: what does that is loaded when
   * it is needed. Rejects with the signal's reason when it is stopped.
   */
  async upload(file: File, options: UploadOptions = {}): Promise<Artifact> {
    const { uploadFile } = await import("./upload.js");
    const server = {
      base: this.#base,
      credentials: this.#credentials,
      headers: (renew: boolean) => this.#headers(renew),
      refusal: (status: number, text: string) => HeraldError.parse(status, text),
      wait: (tries: number) => fullJitter(tries, { first: 500, longest: 15_000 }),
    };
    return uploadFile(server, file, options);
  }

  /** The user's uploads that are not finished. */
  uploads(): Promise<{ uploads: readonly UnfinishedUpload[] }> {
    return this.#json("GET", "/api/uploads");
  }

  /** Ends an upload that is not finished: nothing is left of it. */
  async cancelUpload(id: string): Promise<void> {
    await this.#call("DELETE", `/api/uploads/${encodeURIComponent(id)}`, undefined, { "tus-resumable": "1.0.0" });
  }

  async #headers(renew: boolean): Promise<Record<string, string>> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${await this.#token(renew)}` };
  }

  async #json<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    const response = await this.#call(method, path, body, headers);
    return (await response.json()) as T;
  }

  async #call(method: string, path: string, body?: unknown, extra?: Record<string, string>): Promise<Response> {
    const ask = async (renew: boolean) => {
      const headers: Record<string, string> = { ...(await this.#headers(renew)), ...extra };
      if (body !== undefined) headers["content-type"] = "application/json";
      const init: RequestInit = { method, headers, credentials: this.#credentials };
      return fetch(this.#base + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    };
    let response = await ask(false);
    if (response.status === 401 && this.#token !== undefined) response = await ask(true);
    if (!response.ok) throw await HeraldError.from(response);
    return response;
  }
}

/** A filter's members as the parameters of a query, which takes numbers as text. */
function queryOf(filter: JobFilter | Omit<TimelineFilter, "types">): URLSearchParams {
  return new URLSearchParams(filter as Record<string, string>);
}

/** What can be asked of a server: HeraldClient does it, and a test's double. */
export type HeraldAPI = Pick<HeraldClient, keyof HeraldClient>;

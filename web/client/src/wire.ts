/** Where a job stands. */
export type JobState = "queued" | "running" | "retrying" | "cancelling" | "succeeded" | "failed" | "cancelled";

/** One part of a job's plan. */
export interface Step {
  readonly name: string;
  readonly weight: number;
  readonly started_at?: string;
  readonly finished_at?: string;
}

/** The part of a job that progress changes. */
export interface Moving {
  readonly id: string;
  readonly version: number;
  readonly attempt: number;
  readonly state: JobState;
  readonly stalled: boolean;
  readonly progress: number;
  readonly step: string;
  readonly processed: number | null;
  readonly total: number | null;
  readonly unit: string;
  readonly message: string;
  readonly remaining_ms: number | null;
  readonly details: unknown;
  readonly metadata?: Readonly<Record<string, string | number | boolean>>;
  readonly heartbeat_at: string | null;
  readonly updated_at: string;
  readonly estimate: Estimate | null;
}

/** How long a job may still take, as of its `updated_at`, and how long such jobs took. A part is null when nothing is known. */
export interface Estimate {
  /** The time left: at least, and at most. */
  readonly low_ms: number | null;
  readonly high_ms: number | null;
  /** In which a tenth, nine tenths, and 95 % of such jobs were done. */
  readonly usual_low_ms: number | null;
  readonly usual_high_ms: number | null;
  readonly usual_slow_ms: number | null;
  /** How many of a hundred such jobs were done in the time so far: 0, 10, 90 or 95. */
  readonly percentile: number;
}

/** A job as last reported. */
export interface Job extends Moving {
  readonly kind: string;
  readonly owner: string;
  readonly title: string;
  readonly max_attempts: number;
  readonly steps: readonly Step[];
  readonly error: string;
  readonly retry_at: string | null;
  readonly result: unknown;
  readonly args: unknown;
  readonly external: boolean;
  readonly worker: string;
  /** How long its worker may be silent before it loses its attempt; null: as long as anybody's. */
  readonly lease_ms: number | null;
  /** Since when its worker is asked to stop. */
  readonly cancel_asked_at: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  /** When the last attempt began; `started_at` is the first one's. */
  readonly attempt_started_at: string | null;
  readonly finished_at: string | null;
  /** Since when the files that it made are no longer kept; absent while they are. */
  readonly artifacts_expired_at?: string;
}

/** The job after a report of progress: the same object when the report is not newer. */
export function mergeJob(job: Job, moving: Moving): Job {
  return moving.version > job.version ? { ...job, ...moving } : job;
}

/** A file: an upload, or what a job made. */
export interface Artifact {
  readonly id: string;
  readonly job_id: string | null;
  readonly kind: string;
  readonly name: string;
  readonly content_type: string;
  readonly size: number;
  readonly sha256: string;
  readonly url: string;
  readonly created_at: string;
  readonly details: unknown;
}

/** A link to a file, for whoever has it. */
export interface Link {
  readonly url: string;
  readonly expires_at: string;
}

/** An upload that is not finished. */
export interface UnfinishedUpload {
  /** Takes it up again, and names the artifact that it becomes. */
  readonly id: string;
  readonly name: string;
  readonly size: number;
  /** How many bytes are there. */
  readonly offset: number;
  readonly expires_at: string;
}

/** Whether a user is there, on whichever node. */
export interface Presence {
  readonly user: string;
  readonly online: boolean;
  readonly connections: number;
  /** When the oldest of the open streams began. */
  readonly since: string | null;
  /** When a page of theirs was last known to be visible, or else when a stream was opened. */
  readonly last_active_at: string | null;
  /** A page of theirs is visible. */
  readonly visible: boolean;
}

/** Who is signed in. */
export interface Session {
  readonly user: string;
  readonly roles: readonly string[];
  readonly expires_at: string;
  /** The developer's page is there. */
  readonly development?: boolean;
}

/** A kind of job that Herald's own workers do. */
export interface JobKind {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** What its args are: JSON Schema 2020-12. */
  readonly schema: unknown;
  readonly steps: readonly { readonly name: string; readonly title: string }[];
}

/** The kinds of job, and how large an upload may be. */
export interface JobKinds {
  readonly kinds: readonly JobKind[];
  readonly max_upload_bytes: number;
}

/** One page of jobs; `next` is empty on the last. */
export interface JobPage {
  readonly jobs: readonly Job[];
  readonly next: string;
}

/** What the server says of an error (RFC 9457). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly request_id?: string;
  /** What is wrong with which field of the request, when it is known. */
  readonly errors?: readonly FieldProblem[];
}

/** What is wrong with one field of a request. */
export interface FieldProblem {
  /** Its path in the body, such as "args.params.since". */
  readonly field: string;
  readonly detail: string;
}

/** What can be exported, and how. */
export interface Datasets {
  readonly datasets: readonly Dataset[];
  readonly formats: readonly string[];
  readonly compressions: readonly string[];
}

/** What can be exported. */
export interface Dataset {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly params: readonly DatasetParam[];
  /** What its rows have, in order. */
  readonly columns: readonly string[];
}

/** What an export of a dataset may be narrowed by. */
export interface DatasetParam {
  readonly name: string;
  readonly type: "text" | "integer" | "bigint" | "numeric" | "boolean" | "date" | "timestamptz" | "uuid" | "text[]";
  readonly required: boolean;
  readonly default: string | null;
  readonly description: string;
  /** What it, or each of a list, may be; empty: anything of its type. */
  readonly in: readonly string[];
  /** Of a list: how many values it may have. */
  readonly max_items?: number;
  /** How many bytes of JSON a value may have. */
  readonly max_length: number;
}

/** One entry of the log. */
export interface LogEvent<Type extends string = string, Data = unknown> {
  readonly seq: number;
  readonly id: string;
  readonly type: Type;
  readonly time: string;
  readonly data: Data;
}

/** A page of the log; `next` is empty when there is no more behind it. */
export interface EventPage {
  readonly events: readonly LogEvent[];
  readonly next: string;
  /** The last seq that is no longer kept. */
  readonly floor: number;
}

/** How far a job was at a moment, as an event of its attempt tells. */
export interface CurvePoint {
  readonly seq: number;
  readonly time: string;
  readonly attempt: number;
  readonly progress: number;
}

/** One try to tell a job's callback address how it has ended. */
export interface CallbackTry {
  readonly id: string;
  readonly message_id: string;
  readonly told: string;
  readonly host: string;
  readonly try: number;
  readonly outcome: "delivered" | "retrying" | "given_up";
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  readonly duration_ms: number;
  readonly error: string;
  readonly next_at: string | null;
}

/** A link that shows one job to whoever has it. */
export interface Share {
  readonly id: string;
  readonly job_id: string;
  /** Whether it shows what the job made, too. */
  readonly files: boolean;
  readonly created_at: string;
  readonly created_by: string;
  readonly expires_at: string;
  /** When somebody first came by it. */
  readonly opened_at: string | null;
  readonly revoked_at: string | null;
  readonly revoked_by: string;
}

/** What is told of a share of a job. */
export interface Sharing {
  readonly id: string;
  readonly share: string;
  readonly shared_by: string;
  readonly files: boolean;
  readonly expires_at: string;
}

/** What a guest has come by. */
export interface Shared {
  readonly job_id: string;
  readonly shared_by: string;
  readonly files: boolean;
  readonly expires_at: string;
}

/** One try to tell a user, who was absent, how a job has ended. */
export interface AbsenceTry {
  readonly id: string;
  readonly message_id: string;
  readonly user: string;
  readonly seq: number;
  readonly told: string;
  readonly medium: "webhook" | "mail";
  readonly try: number;
  readonly outcome: "delivered" | "retrying" | "given_up" | "came_back";
  readonly status: number;
  readonly duration_ms: number;
  readonly error: string;
  readonly next_at: string | null;
}

/** What happened to a job. */
export type JobEvent =
  | LogEvent<"job.progress" | "job.message", Moving>
  | LogEvent<
      | "job.queued"
      | "job.started"
      | "job.step"
      | "job.retrying"
      | "job.stalled"
      | "job.resumed"
      | "job.cancelling"
      | "job.cancelled"
      | "job.succeeded"
      | "job.failed"
      | "job.artifacts_expired",
      Job
    >
  | LogEvent<"job.deleted", { readonly id: string; readonly version: number }>
  | LogEvent<"job.late_report", { readonly id: string; readonly attempt: number }>
  | LogEvent<"job.callback", CallbackTry>
  | LogEvent<"job.absent", AbsenceTry>
  | LogEvent<"job.shared" | "job.share_opened" | "job.share_revoked", Sharing>
  | LogEvent<`notification.${string}`>;

/** How a stream begins. */
export interface StreamOpen {
  /** The connection's name, and that of a topic that it alone follows. */
  readonly client_id: string;
  readonly node: string;
  readonly user: string;
  readonly topics: readonly string[];
  readonly heartbeat_ms: number;
  /** How often the server wants to know how far the client has come; 0: never. */
  readonly ack_ms: number;
  /** Where it begins; events up to here may be old. */
  readonly head: number;
  readonly resumed: boolean;
}

/** What comes on a stream: the log's entries, and what the stream says of itself. */
export type StreamEvent =
  | JobEvent
  | { readonly type: "stream.open"; readonly data: StreamOpen }
  | { readonly type: "stream.snapshot"; readonly data: { readonly jobs: readonly Job[] } }
  | { readonly type: "stream.reset"; readonly data: { readonly reason: "cursor_too_old" | "cursor_ahead" } }
  | { readonly type: "stream.expiring"; readonly data: { readonly expires_at: string } }
  | { readonly type: "stream.expired"; readonly data: object }
  | { readonly type: "stream.closing"; readonly data: { readonly retry_ms: number } };

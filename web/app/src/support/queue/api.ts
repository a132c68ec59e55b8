/** Where an entry stands, in River's words. */
export type EntryState =
  "pending" | "scheduled" | "available" | "running" | "retryable" | "completed" | "cancelled" | "discarded";

/** One of River's jobs: the next attempt of a job of Herald's, or an errand such as a callback. */
export interface Entry {
  readonly id: number;
  readonly queue: string;
  readonly kind: string;
  readonly state: EntryState;
  readonly priority: number;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly created_at: string;
  readonly scheduled_at: string;
  readonly attempted_at: string | null;
  readonly finalized_at: string | null;
  /** Which has it, or had it last. */
  readonly node: string;
  /** The beginning of its last error. */
  readonly error: string;
  readonly job: { readonly id: string; readonly title: string; readonly owner: string } | null;
}

/** An entry with what became of its attempts. */
export interface EntryDetails extends Entry {
  readonly nodes: readonly string[];
  readonly errors: readonly {
    readonly at: string;
    readonly attempt: number;
    readonly error: string;
    readonly trace: string;
  }[];
}

/** A page of entries, the newest first. */
export interface EntryPage {
  readonly entries: readonly Entry[];
  /** What to pass as `before` for the next page; empty when there is none. */
  readonly next: string;
  readonly partial?: boolean;
}

/** One queue at a moment. */
export interface Queue {
  readonly name: string;
  readonly paused_at: string | null;
  readonly counts: Readonly<Partial<Record<EntryState, number>>>;
  readonly oldest_at: string | null;
  readonly next_at: string | null;
  readonly completed_per_minute: number;
  readonly discarded_per_minute: number;
}

/** A process that works on entries, or might. */
export interface QueueNode {
  readonly name: string;
  readonly leads: boolean;
  readonly running: number;
  readonly oldest_at: string | null;
  readonly started_at: string | null;
  readonly heartbeat_at: string | null;
}

/** All queues at a moment, by the database's clock. */
export interface Overview {
  readonly at: string;
  readonly queues: readonly Queue[];
  readonly nodes: readonly QueueNode[];
  readonly kinds: readonly string[];
  /** A number that large means so many or more. */
  readonly most_counted: number;
  readonly rate_window_ms: number;
}

/** One entry of the log with all that is known of it, as GET /api/events lists it. */
export interface LogRecord {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** When it was written. */
  readonly time: string;
  /** When it got its place in the log. */
  readonly recorded_at: string;
  readonly job_id?: string;
  readonly job_version?: number;
  /** Who caused it: a user, a worker, or "herald". */
  readonly actor: string;
  /** Whom it concerns. */
  readonly topics?: readonly string[];
  readonly data: unknown;
}

/** What an object of JSON has. */
export type Members = Readonly<Record<string, unknown>>;

/** What an event carries; nothing when it is no object. Whatever it is, a back end may have sent it. */
export function membersOf(data: unknown): Members {
  return typeof data === "object" && data !== null && !Array.isArray(data) ? (data as Members) : {};
}

/** Reads members that are texts; anything else is empty. */
export function textIn(data: Members): (name: string) => string {
  return (name) => {
    const value = data[name];
    return typeof value === "string" ? value : "";
  };
}

import { HeraldError } from "@herald/client";

/** Asks the server with the session's cookie; rejects with a HeraldError when it refuses. */
export async function ask<T>(path: string, signal?: AbortSignal, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, {
    credentials: "same-origin",
    ...init,
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok) throw await HeraldError.from(response);
  return (await response.json()) as T;
}

/** An entry of the log as support reads it. */
export interface LogRecord {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly data: unknown;
  readonly recorded_at: string;
  readonly job_id?: string;
  readonly job_version?: number;
  readonly actor: string;
  readonly topics?: readonly string[];
}

/** A page of the log; `next` is where the one after it is, empty when there is none. */
export interface LogPage {
  readonly events: readonly LogRecord[];
  readonly next: string;
  readonly prev: string;
  readonly partial?: boolean;
  /** The last seq that is no longer kept. */
  readonly floor: number;
}

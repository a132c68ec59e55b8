import { HeraldError } from "@herald/client";
import type { LogRecord } from "./record";

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

/** A page of the log; `next` is where the one after it is, empty when there is none. */
export interface LogPage {
  readonly events: readonly LogRecord[];
  readonly next: string;
  readonly prev: string;
  readonly partial?: boolean;
  /** The last seq that is no longer kept. */
  readonly floor: number;
}

/** How far an event has come on a stream, or to a user; empty when no stream was to get it. */
export type Stage = "" | "filtered" | "missed" | "pending" | "replaced" | "written" | "acknowledged" | "seen";

/** A user whom an event names, and the best that became of it. */
export interface Recipient {
  readonly user: string;
  readonly online: boolean;
  readonly way: "" | "live" | "replay" | "snapshot";
  readonly stage: Stage;
}

/** What became of an event on one stream. Times are bounds. */
export interface Delivery {
  readonly client_id: string;
  readonly user: string;
  readonly node: string;
  readonly session: string;
  readonly way: "live" | "replay" | "snapshot";
  readonly stage: Stage;
  readonly opened_at: string;
  readonly closed_at: string | null;
  readonly closed_why: string;
  readonly written_after: string | null;
  readonly written_before: string | null;
  readonly acked_before: string | null;
  readonly seen_before: string | null;
}

/** What became of an event. */
export interface Deliveries {
  readonly recipients: readonly Recipient[];
  readonly deliveries: readonly Delivery[];
  readonly next: string;
}

/** Why a user got an event, or did not. */
export interface Explanation {
  readonly user: string;
  readonly received: boolean;
  readonly findings: readonly { readonly code: string; readonly text: string; readonly client_id?: string }[];
}

/** One stream, live or past. */
export interface Connection {
  readonly id: string;
  readonly node: string;
  readonly user: string;
  readonly session: string;
  readonly user_agent: string;
  readonly address: string | null;
  readonly topics: readonly string[];
  readonly filter: { readonly types?: readonly string[] } | null;
  readonly metadata: unknown;
  readonly opened_at: string;
  readonly opened_seq: number;
  readonly opened_head: number;
  readonly written_seq: number;
  readonly written_at: string | null;
  readonly acked_seq: number;
  readonly acked_at: string | null;
  readonly seen_seq: number;
  readonly seen_at: string | null;
  readonly visible: boolean;
  readonly closed_at: string | null;
  readonly closed_why: string;
  readonly close_asked_at: string | null;
  readonly close_asked_by: string;
}

/** A page of streams, the newest first. */
export interface ConnectionPage {
  readonly connections: readonly Connection[];
  /** What to pass as `before` for the next page; empty when there is none. */
  readonly next: string;
  /** What is open on all nodes. */
  readonly statistics?: {
    readonly connections: number;
    readonly users: number;
    readonly nodes: Readonly<Record<string, number>>;
  };
}

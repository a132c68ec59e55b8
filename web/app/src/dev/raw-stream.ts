import { HeraldError } from "@herald/client";
import { type Frame, FrameReader } from "./frames";

/** What a connection asks for. */
export interface StreamQuestion {
  readonly topics: readonly string[];
  readonly types: readonly string[];
  /** Each as KEY=VALUE. */
  readonly metadata: readonly string[];
  /** The last id seen; empty for a fresh start. */
  readonly cursor: string;
}

/** How a raw stream is, as it is shown. */
export interface RawView {
  readonly status: "closed" | "connecting" | "open";
  /** Why it is closed, when nobody has asked for that. */
  readonly why: string;
  /** The newest first. */
  readonly frames: readonly Frame[];
  /** How many older frames were let go of. */
  readonly dropped: number;
  /** How many frames came since it was paused; undefined while it is not. */
  readonly paused: number | undefined;
  /** The last id that has come: where to go on from. */
  readonly lastId: string;
  /** The connection's name. */
  readonly clientId: string;
}

/** So many frames are kept, and so many characters of them in all. */
export const mostFrames = 400;
const mostCharacters = 2_000_000;
/** How often at most what is shown changes, in milliseconds. */
const paintEvery = 80;

/** The path of a stream that answers the question. */
export function streamPath({ topics, types, metadata }: StreamQuestion): string {
  const query = new URLSearchParams();
  for (const topic of topics) query.append("topic", topic);
  for (const type of types) query.append("type", type);
  for (const pair of metadata) {
    const [key = "", ...value] = pair.split("=");
    query.append(`metadata.${key}`, value.join("="));
  }
  return query.size === 0 ? "/api/sse" : `/api/sse?${query.toString()}`;
}

/**
 * RawStream is one connection, and the frames that come on it, as they come. It does not come back by itself: that is
 * what whoever looks at it wants to do by hand.
 */
export class RawStream {
  readonly #listeners = new Set<() => void>();
  readonly #fetch: typeof fetch;
  #connection: AbortController | undefined;
  #frames: Frame[] = [];
  #characters = 0;
  #dropped = 0;
  #came = 0;
  #n = 0;
  #shown: RawView = {
    status: "closed",
    why: "",
    frames: [],
    dropped: 0,
    paused: undefined,
    lastId: "",
    clientId: "",
  };
  #lastId = "";
  #clientId = "";
  #painting: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: typeof fetch = (...args) => fetch(...args)) {
    this.#fetch = ask;
  }

  readonly view = (): RawView => this.#shown;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Connects, in place of a connection that there is. */
  open(question: StreamQuestion): void {
    this.#connection?.abort();
    const connection = new AbortController();
    this.#connection = connection;
    this.#lastId = question.cursor;
    this.#clientId = "";
    this.#show({ status: "connecting", why: "" });
    this.#follow(question, connection.signal).then(
      () => {
        this.#ended(connection, "The server has ended the stream.");
      },
      (err: unknown) => {
        this.#ended(connection, whyOf(err));
      },
    );
  }

  close(): void {
    this.#connection?.abort();
    this.#connection = undefined;
    this.#show({ status: "closed", why: "" });
  }

  /** Holds what is shown still; what comes is kept. */
  pause(paused: boolean): void {
    this.#came = 0;
    this.#show({ paused: paused ? 0 : undefined });
  }

  clear(): void {
    this.#frames = [];
    this.#characters = this.#dropped = this.#came = 0;
    this.#shown = { ...this.#shown, frames: [], dropped: 0 };
    this.#show({});
  }

  async #follow(question: StreamQuestion, signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (question.cursor !== "") headers["last-event-id"] = question.cursor;
    const response = await this.#fetch(streamPath(question), { headers, signal, cache: "no-store" });
    if (!response.ok) throw await HeraldError.from(response);
    if (response.body === null) return;
    this.#show({ status: "open" });
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const frames = new FrameReader((frame) => {
      this.#take(frame);
    });
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      frames.push(decoder.decode(value, { stream: true }));
    }
  }

  #ended(connection: AbortController, why: string): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    connection.abort(); // it may have been our reader that could not go on
    this.#show({ status: "closed", why });
  }

  #take(frame: Frame): void {
    this.#frames.push({ ...frame, n: ++this.#n });
    this.#characters += sizeOf(frame);
    while (this.#frames.length > mostFrames || (this.#characters > mostCharacters && this.#frames.length > 1)) {
      const oldest = this.#frames.shift();
      this.#characters -= oldest === undefined ? 0 : sizeOf(oldest);
      this.#dropped++;
    }
    this.#came++;
    if (frame.id !== undefined) this.#lastId = frame.id;
    if (frame.event === "stream.open") this.#clientId = clientOf(frame.data ?? "");
    this.#painting ??= setTimeout(() => {
      this.#show({});
    }, paintEvery);
  }

  #show(change: Partial<Pick<RawView, "status" | "why" | "paused">>): void {
    clearTimeout(this.#painting);
    this.#painting = undefined;
    const next = { ...this.#shown, ...change, lastId: this.#lastId, clientId: this.#clientId };
    this.#shown =
      next.paused === undefined
        ? { ...next, frames: [...this.#frames].reverse(), dropped: this.#dropped }
        : { ...next, paused: this.#came };
    for (const listener of [...this.#listeners]) listener();
  }
}

function sizeOf(frame: Frame): number {
  return frame.lines.reduce((sum, line) => sum + line.length, 0);
}

function clientOf(data: string): string {
  try {
    return (JSON.parse(data) as { client_id?: string }).client_id ?? "";
  } catch {
    return "";
  }
}

function whyOf(err: unknown): string {
  if (err instanceof HeraldError || (err instanceof Error && err.name === "Error")) return err.message;
  return "The connection broke.";
}

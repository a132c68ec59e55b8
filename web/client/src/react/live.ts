import type { EventStreamOptions, HeraldAPI, HeraldError, StreamEvent, StreamState } from "@herald/client";

/** Opens a stream that tells what comes; a test opens one of its own. */
export type OpenStream = (
  on: Required<Pick<EventStreamOptions, "onEvent" | "onState">> & Pick<EventStreamOptions, "lastEventId">,
) => { readonly lastEventId: string; close(): void };

/** Told of an event of the stream. */
export type Handler = (event: StreamEvent) => void;

/** What some components show, kept true by the stream for as long as they are there. */
export interface Model<View = unknown> {
  /** The same object until something changes. */
  readonly view: View;
  /** Reads what there is, unless that has been done: the stream will not tell. */
  begin(): void;
  onEvent(event: StreamEvent): void;
}

interface Followed {
  readonly model: Model;
  readonly listeners: Set<() => void>;
}

/**
 * Live is one stream and what is shown by it. A model lives while somebody looks
 * at it and not longer, so that nobody who looks again sees what was so before.
 */
export class Live {
  readonly client: HeraldAPI;
  readonly #openStream: OpenStream;
  readonly #models = new Map<string, Followed>();
  readonly #handlers = new Map<string, Set<Handler>>();
  readonly #stateListeners = new Set<() => void>();
  #state: StreamState = "connecting";
  #cursor = "";

  /** Nothing happens until it is opened. */
  constructor(client: HeraldAPI, openStream: OpenStream) {
    this.client = client;
    this.#openStream = openStream;
  }

  /** Opens the stream; the function that it returns closes it. It may be opened again, and goes on where it was. */
  open(): () => void {
    let closed = false;
    const stream = this.#openStream({
      lastEventId: this.#cursor,
      onEvent: (event) => {
        if (!closed) this.#take(event);
      },
      onState: (state, error) => {
        if (!closed) this.#setState(state, error);
      },
    });
    return () => {
      closed = true;
      this.#cursor = stream.lastEventId;
      stream.close();
      if (this.#state === "live") this.#setState("reconnecting");
    };
  }

  readonly state = (): StreamState => this.#state;

  /** Why the stream is closed for good. */
  error: HeraldError | undefined;

  readonly subscribeState = (listener: () => void): (() => void) => {
    this.#stateListeners.add(listener);
    return () => {
      this.#stateListeners.delete(listener);
    };
  };

  /** Calls the handler with each event of the type; "job.*" is all that begin so, "*" all. */
  addHandler(type: string, handler: Handler): void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
  }

  removeHandler(type: string, handler: Handler): void {
    this.#handlers.get(type)?.delete(handler);
  }

  /** What is shown under the key; undefined while nobody follows it. */
  view(key: string): unknown {
    return this.#models.get(key)?.model.view;
  }

  /** The model that is followed under the key. */
  model(key: string): Model | undefined {
    return this.#models.get(key)?.model;
  }

  /** Follows what is shown under the key; the function that it returns ends that. */
  follow(key: string, make: (changed: () => void) => Model, listener: () => void): () => void {
    const followed = this.#models.get(key) ?? this.#begin(key, make);
    followed.listeners.add(listener);
    return () => {
      followed.listeners.delete(listener);
      // Not at once: one that looks away and back in the same moment, as Strict Mode does, is the same.
      queueMicrotask(() => {
        if (followed.listeners.size === 0 && this.#models.get(key) === followed) this.#models.delete(key);
      });
    };
  }

  #begin(key: string, make: (changed: () => void) => Model): Followed {
    const listeners = new Set<() => void>();
    const model = make(() => {
      for (const listener of [...listeners]) listener();
    });
    const followed = { model, listeners };
    this.#models.set(key, followed);
    // While the stream connects it waits: what was read before may be old then.
    if (this.#state !== "connecting") model.begin();
    return followed;
  }

  #take(event: StreamEvent): void {
    for (const { model } of [...this.#models.values()]) model.onEvent(event);
    for (const [type, handlers] of this.#handlers) {
      if (matches(type, event.type)) for (const handler of [...handlers]) callOut(handler, event);
    }
  }

  #setState(state: StreamState, error?: HeraldError): void {
    this.#state = state;
    this.error = error;
    if (state !== "live") for (const { model } of [...this.#models.values()]) model.begin();
    for (const listener of [...this.#stateListeners]) listener();
  }
}

function matches(wanted: string, type: string): boolean {
  return wanted === "*" || wanted === type || (wanted.endsWith(".*") && type.startsWith(wanted.slice(0, -1)));
}

/** One handler's mistake is not the others'. */
function callOut(handler: Handler, event: StreamEvent): void {
  try {
    handler(event);
  } catch (err) {
    setTimeout(() => {
      throw err;
    });
  }
}

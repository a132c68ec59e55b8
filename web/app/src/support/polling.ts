import { useEffect, useState, useSyncExternalStore } from "react";
import { messageOf } from "../live";

/** What was last read, and what is wrong when it could not be read again. */
export interface Polled<T> {
  readonly value: T | undefined;
  readonly error: string;
  /** When the value was read, in milliseconds since 1970. */
  readonly at: number;
}

/**
 * Polling reads something again and again, one reading after the other, for as long
 * as somebody looks: not while the page is hidden.
 */
export class Polling<T> {
  readonly #read: (signal: AbortSignal) => Promise<T>;
  readonly #every: number;
  readonly #listeners = new Set<() => void>();
  #polled: Polled<T> = { value: undefined, error: "", at: 0 };
  #stopping: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading = false;

  constructor(read: (signal: AbortSignal) => Promise<T>, every: number) {
    this.#read = read;
    this.#every = every;
  }

  readonly polled = (): Polled<T> => this.#polled;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Reads at once and then again and again, until the function that it returns is called. */
  start(): () => void {
    const stopping = new AbortController();
    this.#stopping = stopping;
    document.addEventListener("visibilitychange", this.now, { signal: stopping.signal });
    window.addEventListener("online", this.now, { signal: stopping.signal });
    this.now();
    return () => {
      stopping.abort();
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#reading = false;
    };
  }

  /** Reads at once, if the page is shown. */
  readonly now = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stopping = this.#stopping;
    if (this.#reading || document.hidden || stopping === undefined || stopping.signal.aborted) return;
    this.#reading = true;
    void this.#once(stopping.signal);
  };

  async #once(signal: AbortSignal): Promise<void> {
    try {
      const value = await this.#read(signal);
      if (!signal.aborted) this.#put({ value, error: "", at: Date.now() });
    } catch (err) {
      if (!signal.aborted) this.#put({ ...this.#polled, error: messageOf(err) });
    }
    if (signal.aborted) return;
    this.#reading = false;
    this.#timer = setTimeout(this.now, this.#every);
  }

  #put(polled: Polled<T>): void {
    this.#polled = polled;
    for (const listener of this.#listeners) listener();
  }
}

/** What the function reads, again and again; it must stay the same while the component is there. */
export function usePolling<T>(
  read: (signal: AbortSignal) => Promise<T>,
  every: number,
): Polled<T> & { now: () => void } {
  const [polling] = useState(() => new Polling(read, every));
  useEffect(() => polling.start(), [polling]);
  return { ...useSyncExternalStore(polling.subscribe, polling.polled), now: polling.now };
}

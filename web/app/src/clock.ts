import { useSyncExternalStore } from "react";

/**
 * Clock is the server's time, as well as this page knows it, in steps of one
 * second. Everything that ticks on the page follows it, so all of it ticks
 * together, and nothing ticks while nobody looks.
 */
export class Clock {
  /** How far this device's clock is ahead of the server's, at most. */
  #ahead: number | undefined;
  #tick = Date.now();
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #listeners = new Set<() => void>();

  /** The time now, in milliseconds since 1970. */
  now(): number {
    return Date.now() - this.#offset();
  }

  /**
   * Learns from an event that has only now happened at the server. An event
   * takes some time to arrive, so the smallest difference is the truest.
   */
  learn(serverTime: string): void {
    const ahead = Date.now() - Date.parse(serverTime);
    if (!Number.isNaN(ahead)) this.#ahead = Math.min(ahead, this.#ahead ?? ahead);
  }

  /** A small difference is the way of the event rather than a wrong clock. */
  #offset(): number {
    return this.#ahead === undefined || Math.abs(this.#ahead) < 1500 ? 0 : this.#ahead;
  }

  /** The time of the last tick. */
  readonly read = (): number => this.#tick;

  /** Calls back with each tick, and at once when the page is shown again. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#timer === undefined) {
      this.#beat();
      this.#timer = setInterval(this.#beat, 1000);
      document.addEventListener("visibilitychange", this.#beat);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      document.removeEventListener("visibilitychange", this.#beat);
    };
  };

  readonly #beat = (): void => {
    if (document.hidden) return;
    this.#tick = this.now();
    for (const listener of this.#listeners) listener();
  };
}

/** The server's time; the component renders again each second while it ticks. */
export function useNow(clock: Clock, ticks: boolean): number {
  return useSyncExternalStore(ticks ? clock.subscribe : never, clock.read);
}

function never(): () => void {
  return () => undefined;
}

import type { LogRecord } from "./record";

/** A place where events were left out, since more came than a tail keeps. */
export interface Gap {
  readonly leftOut: number;
  /** The first that is there again. */
  readonly seq: number;
}

/** A line of a tail. */
export type Line = LogRecord | Gap;

/** What a tail shows. */
export interface Shown {
  /** The newest first. */
  readonly lines: readonly Line[];
  readonly paused: boolean;
  /** How many have come since the pause, those that were left out too. */
  readonly waiting: number;
  /** How many of those will not be shown, since more came than are kept. */
  readonly leftOut: number;
}

export function isGap(line: Line): line is Gap {
  return "leftOut" in line;
}

/** How many lines a tail keeps; while it is paused, half as many besides, so that what came before stays in view. */
export const mostLines = 2000;

/**
 * Tail keeps the newest events of a stream. Paused, it stands still, and keeps what
 * comes meanwhile apart; when that is too much the oldest of it are left out, and
 * the tail says so where they would have been.
 */
export class Tail {
  readonly #most: number;
  readonly #later: (run: () => void) => void;
  readonly #listeners = new Set<() => void>();
  /** The oldest first, as is #waiting. */
  #lines: Line[] = [];
  #waiting: LogRecord[] = [];
  #leftOut = 0;
  #paused = false;
  #due = false;
  #shown: Shown = { lines: [], paused: false, waiting: 0, leftOut: 0 };

  /** `later` runs what it is given soon: so many events that come together are drawn once. */
  constructor(most = mostLines, later: (run: () => void) => void = (run) => requestAnimationFrame(run)) {
    this.#most = most;
    this.#later = later;
  }

  readonly shown = (): Shown => this.#shown;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Takes in an event that has just come. */
  add(event: LogRecord): void {
    if (this.#paused) {
      this.#waiting.push(event);
      if (this.#waiting.length > this.#most / 2) {
        this.#waiting.shift();
        this.#leftOut++;
      }
    } else {
      this.#lines.push(event);
      if (this.#lines.length > this.#most) this.#lines.shift();
    }
    this.#changed();
  }

  /** Puts events before all that have come, the oldest first: what was in the log before the stream began. */
  addBefore(events: readonly LogRecord[]): void {
    this.#lines = [...events, ...this.#lines].slice(-this.#most);
    this.#changed();
  }

  /** Puts what is known of events in the place of what a stream says of them. */
  learn(events: readonly LogRecord[]): void {
    const known = new Map(events.map((event) => [event.seq, event]));
    const better = <T extends Line>(line: T): T =>
      isGap(line) ? line : ((known.get(line.seq) as T | undefined) ?? line);
    this.#lines = this.#lines.map(better);
    this.#waiting = this.#waiting.map(better);
    this.#changed();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#changed();
  }

  /** Goes on with what came meanwhile. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const [first] = this.#waiting;
    if (this.#leftOut > 0 && first !== undefined) this.#lines.push({ leftOut: this.#leftOut, seq: first.seq });
    this.#lines = this.#lines.concat(this.#waiting).slice(-this.#most);
    this.#waiting = [];
    this.#leftOut = 0;
    this.#changed();
  }

  /** Forgets what is shown, and goes on if it was paused. */
  clear(): void {
    this.#lines = [];
    this.#waiting = [];
    this.#leftOut = 0;
    this.#paused = false;
    this.#changed();
  }

  #changed(): void {
    if (this.#due) return;
    this.#due = true;
    this.#later(() => {
      this.#due = false;
      const waiting = this.#waiting.length + this.#leftOut;
      this.#shown = { lines: this.#lines.toReversed(), paused: this.#paused, waiting, leftOut: this.#leftOut };
      for (const listener of this.#listeners) listener();
    });
  }
}

/** How often it is somebody's turn, in milliseconds, and how many have it then at most. */
const [pause, together] = [32, 12];
/** How many turns there are a second for long, and how many of those that nobody took are there later. */
const [perSecond, saved] = [12, 120];
/** When turns are scarce, so many are taken at once, so that they disturb few frames. */
const scarce = 4;

/**
 * Turns calls back those who are in no hurry: a few at a time, first come first
 * served. All have their turn at once after a calm; but when they ask again and
 * again, they are called no more often than does not trouble those who are in a
 * hurry, however many they are.
 */
export class Turns {
  readonly #waiting = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #left = saved;
  #leftAt = performance.now();

  /** Calls back in its turn: once, however often it asks until then. */
  ask(listener: () => void): void {
    this.#waiting.add(listener);
    this.#timer ??= setInterval(this.#turn, pause);
  }

  /** Takes back what was asked. */
  forget(listener: () => void): void {
    this.#waiting.delete(listener);
  }

  readonly #turn = (): void => {
    const now = performance.now();
    this.#left = Math.min(saved, this.#left + ((now - this.#leftAt) / 1000) * perSecond);
    this.#leftAt = now;
    if (this.#left < Math.min(scarce, this.#waiting.size)) return;
    for (const listener of [...this.#waiting].slice(0, Math.min(together, Math.floor(this.#left)))) {
      this.#left--;
      this.#waiting.delete(listener);
      listener();
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  };
}

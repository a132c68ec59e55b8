/** Who is told of an election's outcome. */
export interface CandidateOptions {
  readonly locks: Pick<LockManager, "request">;
  /** What is led: of all candidates for one name, one leads. */
  readonly name: string;
  readonly onElected: () => void;
  /** Another has taken the lead, since this one did not answer; it is in line again. */
  readonly onDeposed: () => void;
  /** There are no elections here after all. */
  readonly onUnable: () => void;
}

/**
 * Candidate leads, or waits in line to lead. The lead is a lock of the browser's,
 * so it passes on at once when its holder resigns, closes or crashes.
 */
export class Candidate {
  readonly #options: CandidateOptions;
  #waiting: AbortController | undefined;
  #release: (() => void) | undefined;
  #resigned = false;

  /** Stands at once. */
  constructor(options: CandidateOptions) {
    this.#options = options;
    this.#stand();
  }

  /** Takes the lead from one that does not answer. */
  seize(): void {
    this.#waiting?.abort();
    void this.#request({ steal: true });
  }

  /** Gives up the lead, or the wait for it, for good. */
  resign(): void {
    this.#resigned = true;
    this.#waiting?.abort();
    this.#release?.();
  }

  #stand(): void {
    this.#waiting = new AbortController();
    void this.#request({ signal: this.#waiting.signal });
  }

  async #request(options: LockOptions): Promise<void> {
    let held = false;
    try {
      await this.#options.locks.request(this.#options.name, options, () => {
        held = true;
        return this.#hold();
      });
    } catch {
      this.#lost(held, options.signal?.aborted === true);
    }
  }

  #hold(): Promise<void> {
    if (this.#resigned) return Promise.resolve();
    const held = new Promise<void>((resolve) => (this.#release = resolve));
    this.#options.onElected();
    return held;
  }

  #lost(held: boolean, withdrawn: boolean): void {
    if (this.#resigned || (withdrawn && !held)) return;
    if (!held) {
      this.#options.onUnable();
      return;
    }
    this.#options.onDeposed();
    this.#stand();
  }
}

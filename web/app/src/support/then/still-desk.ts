import type { Job, StreamState } from "@herald/client";
import { Clock } from "../../clock";
import type { Desk } from "../../desk";
import { Live } from "../../live";
import { JobStore } from "../../store";

/** StillClock stands still. */
class StillClock extends Clock {
  readonly #at: number;

  constructor(at: number) {
    super();
    this.#at = at;
  }

  override now(): number {
    return this.#at;
  }

  override readonly read = (): number => this.#at;
  override readonly subscribe = (): (() => void) => () => undefined;
}

/** A desk at which time stands still: the jobs as they were, and nothing to be done about them. */
export function stillDesk(desk: Desk, jobs: readonly Job[], at: number, state: StreamState, why: string): Desk {
  const clock = new StillClock(at);
  const store = new JobStore((flush) => {
    flush();
  });
  for (const job of jobs) store.put(job);
  const nothing = () => undefined;
  const live = new Live(desk.client, store, clock, nothing, (on) => {
    on.onState(state);
    return { close: nothing };
  });
  live.open();
  return { ...desk, clock, store, live, readOnly: why };
}

/** Bounds of the wait before a reconnect, in milliseconds. */
export interface Backoff {
  readonly first: number;
  readonly longest: number;
}

/**
 * How long to wait before the try with the number, from 0 on: anything up to a
 * bound that doubles with each try, so that many clients do not come at once
 * ("full jitter").
 */
export function fullJitter(tries: number, { first, longest }: Backoff, random: () => number = Math.random): number {
  return random() * Math.min(longest, first * 2 ** Math.min(tries, 30));
}

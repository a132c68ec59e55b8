/** A moment to the minute, in the reader's zone, as one says until when something holds. */
export function until(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

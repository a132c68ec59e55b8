import { ago, elapsed } from "../../format";
import type { Entry, EntryState, Queue, QueueNode } from "./api";

export type Tone = "plain" | "good" | "warn" | "bad";

/** How a state looks where there are entries in it. */
export const tones: Record<EntryState, Tone> = {
  pending: "plain",
  scheduled: "plain",
  available: "plain",
  running: "good",
  retryable: "warn",
  completed: "plain",
  cancelled: "plain",
  discarded: "bad",
};

/** Where an entry stands, in words. */
export function standingOf(entry: Entry, now: number): string {
  const since = (at: string | null) => elapsed(now - Date.parse(at ?? entry.created_at));
  const left = Date.parse(entry.scheduled_at) - now;
  switch (entry.state) {
    case "running":
      return `Running for ${since(entry.attempted_at)}${entry.node === "" ? "" : ` on ${entry.node}`}`;
    case "available":
      return `Waits for a worker, for ${since(entry.scheduled_at)}`;
    case "scheduled":
      return left > 0 ? `Its time comes in ${elapsed(left)}` : "Its time has come";
    case "retryable":
      return left > 0 ? `Failed, again in ${elapsed(left)}` : "Failed, again at once";
    case "pending":
      return "Pending";
    case "completed":
    case "cancelled":
    case "discarded": {
      const words = { completed: "Completed", cancelled: "Cancelled", discarded: "Given up" };
      return `${words[entry.state]} ${ago(now - Date.parse(entry.finalized_at ?? entry.created_at))}`;
    }
  }
}

/** What is to be said of a queue besides its numbers. */
export function paceOf(queue: Queue, now: number): readonly { readonly text: string; readonly tone: Tone }[] {
  const said: { text: string; tone: Tone }[] = [];
  if (queue.paused_at !== null)
    said.push({ text: `Paused for ${elapsed(now - Date.parse(queue.paused_at))}`, tone: "warn" });
  if (queue.oldest_at !== null)
    said.push({ text: `The oldest waits for ${elapsed(now - Date.parse(queue.oldest_at))}`, tone: "plain" });
  if (queue.next_at !== null) {
    const left = Date.parse(queue.next_at) - now;
    said.push({ text: left > 0 ? `The next comes in ${elapsed(left)}` : "The next comes at once", tone: "plain" });
  }
  said.push({ text: `${perMinute(queue.completed_per_minute)} completed a minute`, tone: "plain" });
  if (queue.discarded_per_minute > 0)
    said.push({ text: `${perMinute(queue.discarded_per_minute)} given up a minute`, tone: "bad" });
  return said;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A rate, to the tenth where that says something. */
function perMinute(rate: number): string {
  if (rate > 0 && rate < 0.1) return "Less than 0.1";
  return rate === 0 ? "None" : (rate < 10 ? tenths : whole).format(rate);
}

/** After how long a node that says nothing is taken for lost, as by the server. */
const silence = 10_000;

/** How a node is. */
export function healthOf(node: QueueNode, now: number): { readonly text: string; readonly tone: Tone } {
  const work = node.running === 0 ? "idle" : `${whole.format(node.running)} running`;
  const first = node.leads ? `leads, ${work}` : work;
  if (node.heartbeat_at === null) return { text: `${first}, but it has left`, tone: "warn" };
  const quiet = now - Date.parse(node.heartbeat_at);
  if (quiet > silence) return { text: `${first}, silent for ${elapsed(quiet)}`, tone: "warn" };
  return { text: first, tone: node.running > 0 ? "good" : "plain" };
}

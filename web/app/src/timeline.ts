import { sentence } from "./format";

/** One line of a job's history. */
export interface TimelineEntry {
  readonly seq: number;
  readonly time: string;
  readonly tone: "plain" | "good" | "warn" | "bad";
  readonly text: string;
  /** What the worker said of it; may be empty. */
  readonly note: string;
}

/** An event of a job's log, as far as its history needs it. */
export interface LoggedEvent {
  readonly seq: number;
  readonly type: string;
  readonly time: string;
  readonly data: unknown;
}

/** An event of a job's log as a sentence; steps have the names that `stepTitle` gives them. */
export function entryOf(event: LoggedEvent, stepTitle: (step: string) => string = sentence): TimelineEntry {
  const data = typeof event.data === "object" && event.data !== null ? (event.data as Record<string, unknown>) : {};
  const text = (name: string) => (typeof data[name] === "string" ? data[name] : "");
  const attempt = typeof data["attempt"] === "number" ? data["attempt"] : 0;
  const entry = (tone: TimelineEntry["tone"], words: string, note = ""): TimelineEntry => ({
    seq: event.seq,
    time: event.time,
    tone,
    text: words,
    note,
  });
  switch (event.type) {
    case "job.queued":
      return entry("plain", attempt > 0 ? "Queued again" : "Queued");
    case "job.started":
      return entry("good", `Attempt ${String(attempt)} started`, text("worker"));
    case "job.step":
      return entry("plain", stepTitle(text("step")));
    case "job.message":
      return entry("plain", text("message"));
    case "job.retrying":
      return entry("warn", `Attempt ${String(attempt)} failed; another one follows`, text("error"));
    case "job.stalled":
      return entry("warn", "No word from the worker");
    case "job.resumed":
      return entry("plain", "The worker is heard again");
    case "job.cancelling":
      return entry("plain", "Asked to stop");
    case "job.cancelled":
      return entry("plain", "Cancelled");
    case "job.succeeded":
      return entry("good", "Finished");
    case "job.failed":
      return entry("bad", "Failed", text("error"));
    case "job.late_report":
      return entry("warn", `A late report from attempt ${String(attempt)} was set aside`);
    case "job.artifacts_expired":
      return entry("plain", "Its files are no longer kept");
    case "job.absent":
      return absenceEntry(text("outcome"), text("medium"), text("error"), entry);
    case "job.shared":
      return entry("plain", "Shared by a link");
    case "job.share_opened":
      return entry("plain", "The link was opened for the first time");
    case "job.share_revoked":
      return entry("plain", "The link was revoked");
    case "job.callback":
      return callbackEntry(text("outcome"), text("host"), text("error"), entry);
    default:
      return entry("plain", event.type);
  }
}

function absenceEntry(
  outcome: string,
  medium: string,
  error: string,
  entry: (tone: TimelineEntry["tone"], words: string, note?: string) => TimelineEntry,
): TimelineEntry {
  const way = medium === "mail" ? "a mail" : "a webhook";
  switch (outcome) {
    case "delivered":
      return entry("good", `Nobody had seen the end, so ${way} told of it`);
    case "came_back":
      return entry("plain", `No need for ${way}: the end has been seen`);
    case "given_up":
      return entry("bad", `Gave up telling of the end by ${way}`, error);
    default:
      return entry("warn", `Could not tell of the end by ${way}; another try follows`, error);
  }
}

function callbackEntry(
  outcome: string,
  host: string,
  error: string,
  entry: (tone: TimelineEntry["tone"], words: string, note?: string) => TimelineEntry,
): TimelineEntry {
  switch (outcome) {
    case "delivered":
      return entry("good", `Called ${host} back`);
    case "given_up":
      return entry("bad", `Gave up calling ${host} back`, error);
    default:
      return entry("warn", `Could not call ${host} back; another try follows`, error);
  }
}

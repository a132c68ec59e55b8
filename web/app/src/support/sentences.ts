import { count, percent, sentence } from "../format";
import { entryOf, type TimelineEntry } from "../timeline";
import { noticeOf } from "./notices";
import { type LogRecord, type Members, membersOf, textIn } from "./record";

/** How much an event should worry its reader. */
export type Severity = "info" | "good" | "warning" | "bad";

/** An event in words. */
export interface Sentence {
  readonly text: string;
  /** More of it, such as an error in full; may be empty and may have several lines. */
  readonly note: string;
  readonly severity: Severity;
  /** What kind of event it is, in a word or two. */
  readonly kind: string;
  /** The title of the job that it tells of; empty when it does not say. */
  readonly subject: string;
}

/** What an event says, as far as its type decides it. */
export type Said = Pick<Sentence, "text" | "severity"> & { readonly note?: string };

type Event = Pick<LogRecord, "type" | "actor" | "data"> & Partial<Pick<LogRecord, "seq" | "time">>;

/** How long a sentence may be; what is longer is cut, and stands in full in the payload. */
const longest = 300;

/** An event of the log as a sentence for support. It never fails, whatever the event carries. */
export function sentenceOf(event: Event): Sentence {
  const { text, note = "", severity } = said(event);
  const title = membersOf(event.data)["title"];
  const subject = event.type.startsWith("job.") && typeof title === "string" ? title : "";
  return { text: cut(text, longest), note: note.trim(), severity, kind: kindOf(event.type), subject };
}

/** What kind of event the type is, in a word or two: "job.late_report" is "Late report". */
export function kindOf(type: string): string {
  switch (type) {
    case "access.read":
      return "Access";
    case "job.artifacts_expired":
      return "Files gone";
    case "job.absent":
      return "Away";
    case "job.share_opened":
      return "Link opened";
    case "job.share_revoked":
      return "Link revoked";
    default:
      return sentence(cut(type.slice(type.lastIndexOf(".") + 1), 40));
  }
}

function said(event: Event): Said {
  if (event.type.startsWith("job.")) return ofJob(event);
  return event.type === "access.read" ? ofAccess(event) : noticeOf(event.type, membersOf(event.data));
}

const severities = { plain: "info", good: "good", warn: "warning", bad: "bad" } as const;

/** The user's own words where they say enough, and more where support wants to know who and what. */
function ofJob(event: Event): Said {
  const entry = entryOf({ seq: 0, time: "", ...event });
  const plain: Said = { text: entry.text, note: entry.note, severity: severities[entry.tone] };
  return more(event, plain, entry) ?? plain;
}

function more(event: Event, plain: Said, entry: TimelineEntry): Said | undefined {
  const data = membersOf(event.data);
  const text = textIn(data);
  switch (event.type) {
    case "job.queued":
      return { ...plain, text: by(entry.text, event.actor) };
    case "job.started":
      return { severity: "info", text: entry.note === "" ? entry.text : `${entry.text} on ${entry.note}` };
    case "job.progress":
      return progress(data);
    case "job.step":
      return { ...plain, text: `Step: ${entry.text === "" ? "none" : entry.text}` };
    case "job.message":
      return { severity: "info", text: text("message") === "" ? "Said nothing more" : text("message") };
    case "job.cancelling":
      return { ...plain, text: event.actor === "" ? "Asked to stop" : `${event.actor} asked it to stop` };
    case "job.cancelled":
      return { ...plain, note: text("error") };
    case "job.shared":
    case "job.share_revoked":
      return { ...plain, text: by(entry.text, event.actor) };
    case "job.deleted":
      return { severity: "warning", text: by("Deleted", event.actor) };
    case "job.late_report":
      return { ...plain, note: lateNote(data) };
    default:
      return undefined;
  }
}

function progress(data: Members): Said {
  const { progress, step, processed, total, unit, message } = data;
  const notes: string[] = [];
  if (typeof step === "string" && step !== "") notes.push(sentence(step));
  if (typeof processed === "number") {
    const of = typeof total === "number" ? ` of ${count(total)}` : "";
    notes.push(`${count(processed)}${of} ${typeof unit === "string" ? unit : ""}`.trim());
  }
  if (typeof message === "string" && message !== "") notes.push(message);
  const text = typeof progress === "number" ? `${percent(progress)} done` : "Progress";
  return { severity: "info", text, note: notes.join(", ") };
}

function lateNote(data: Members): string {
  const text = textIn(data);
  const notes: string[] = [];
  if (text("reported") !== "") notes.push(`It said: ${text("reported")}`);
  if (typeof data["progress"] === "number") notes.push(`${percent(data["progress"])} done`);
  for (const name of ["step", "message", "error"]) if (text(name) !== "") notes.push(text(name));
  return notes.join(". ");
}

/** Who looked at what of whom. */
function ofAccess(event: Event): Said {
  const data = membersOf(event.data);
  const text = textIn(data);
  const reader = text("reader") === "" ? event.actor : text("reader");
  const whose = text("whose");
  const what = Array.isArray(data["what"]) ? data["what"].filter((w) => typeof w === "string") : [];
  const things = [...new Set(what.map(thing))];
  const looked = `${reader === "" ? "Somebody" : reader} looked at ${things.length === 0 ? "something" : list(things)}`;
  const roles = Array.isArray(data["roles"]) ? data["roles"].filter((r) => typeof r === "string") : [];
  const notes = [roles.length === 0 ? "" : `As ${list(roles)}`, what.filter(saysMore).join(", ")];
  return {
    severity: "info",
    text: whose === "" ? looked : `${looked} of ${whose}`,
    note: notes.filter((n) => n !== "").join(": "),
  };
}

/** Reports whether the word for what was looked at says more than its sentence. */
function saysMore(what: string): boolean {
  return what !== "log" && !/^events?\b/.test(what);
}

/** What was looked at, in words: see auth.Access. */
function thing(what: string): string {
  if (/^events? /.test(what)) return what.startsWith("event ") ? what : "events";
  const [kind] = what.split(":");
  switch (kind) {
    case "job":
      return "a job";
    case "jobs":
      return "the jobs";
    case "file":
      return "a file";
    case "user":
      return "the presence";
    case "client":
      return "a connection";
    case "channel":
      return "a channel";
    case "log":
      return "the whole log, live";
    case "claimable":
      return "waiting jobs";
    default:
      return what === "events" ? "the log" : what;
  }
}

function by(text: string, actor: string): string {
  return actor === "" ? text : `${text} by ${actor}`;
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1) ?? ""}`;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

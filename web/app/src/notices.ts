import type { LogEvent } from "@herald/client";
import { sentence } from "./format";

/** Something that a person may want to hear of while they do something else. */
export interface Notice {
  /** The event's place in the log. */
  readonly seq: number;
  readonly time: string;
  readonly tone: "good" | "bad" | "plain";
  readonly title: string;
  /** What is known besides, and what to do. */
  readonly text: string;
  /** Where more of it is: a page of this app, or another site's. */
  readonly link: string;
  /** The job that it is about; empty when it is about none. */
  readonly job: string;
}

/** The types of events that become notices. */
export const noticeTypes = ["job.succeeded", "job.failed", "notification.*"] as const;

/** The event as a notice; undefined when nobody is to hear of it. */
export function noticeOf({ seq, time, type, data }: LogEvent): Notice | undefined {
  const said = fieldsOf(data);
  if (type === "job.succeeded" || type === "job.failed") {
    const good = type === "job.succeeded";
    const id = said("id");
    const title = `${said("title")} ${good ? "is finished" : "has failed"}`;
    const why = firstLine(said("error"));
    const text = good ? "" : `${why === "" ? "" : `${why} `}See what happened, and try it again from there.`;
    return { seq, time, tone: good ? "good" : "bad", title, text, link: `/jobs/${id}`, job: id };
  }
  if (!type.startsWith("notification.")) return undefined;
  const { title, text, tone } = wordsOf(type.slice("notification.".length), said);
  return { seq, time, tone, title, text, link: safeLink(said("url")), job: "" };
}

type Fields = (name: string) => string;

/** What a notification says. Its message, if it has one, is meant for people, and says more than we can. */
function wordsOf(kind: string, said: Fields): Pick<Notice, "title" | "text" | "tone"> {
  const what = composed(kind, said);
  const message = said("message");
  const tone = toneOf(said("status"), said("severity"));
  const text = message === "" ? firstLine(said("error")) : message;
  return { title: what, text, tone };
}

function composed(kind: string, said: Fields): string {
  const action = said("action").replaceAll("_", " ");
  const status = said("status");
  switch (kind) {
    case "payment": {
      const amount = [said("amount"), said("currency")].filter((part) => part !== "").join(" ");
      return `Payment of ${amount} ${status === "pending" ? "is pending" : `has ${verbOf(status)}`}`;
    }
    case "account":
      return `Your account: ${action}`;
    case "profile":
      return `Profile: ${action}`;
    case "system":
      return `${sentence(said("component"))}: ${status}`;
    case "post":
      return `${said("title") || "A post"} was ${action}`;
    case "activity":
      return sentence([action, said("object")].filter((part) => part !== "").join(" "));
    case "video":
    case "export":
      return `${sentence(kind)} ${said(`${kind}_id`)} ${status === "queued" ? "is queued" : status === "processing" ? "is under way" : `has ${verbOf(status)}`}`;
    default:
      return said("title") || sentence(kind.replace(/^custom\./, "").replaceAll(".", " "));
  }
}

function verbOf(status: string): string {
  return status === "refunded" || status === "cancelled" ? `been ${status}` : status;
}

function toneOf(status: string, severity: string): Notice["tone"] {
  if (["failed", "outage"].includes(status) || severity === "critical") return "bad";
  return ["succeeded", "operational", "refunded"].includes(status) ? "good" : "plain";
}

/** Reads members that are text, or a number. */
function fieldsOf(data: unknown): Fields {
  const members = typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {};
  return (name) => {
    const value = members[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : "";
  };
}

function firstLine(text: string): string {
  const line = text.split("\n", 1)[0]?.trim() ?? "";
  const longest = 100;
  const short = line.length > longest ? `${line.slice(0, longest)}…` : line;
  return short === "" || /[.!?…]$/.test(short) ? short : `${short}.`;
}

/** The address, if a page may lead there: whoever publishes an event may write anything. */
export function safeLink(address: string): string {
  if (address === "") return "";
  try {
    const { protocol } = new URL(address, "https://herald.invalid");
    return protocol === "https:" || protocol === "http:" ? address : "";
  } catch {
    return "";
  }
}

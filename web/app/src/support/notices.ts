import { percent, sentence } from "../format";
import { type Members, textIn } from "./record";
import type { Said, Severity } from "./sentences";

/** What a back end told, in words: Herald's own notifications, and any other type by its message or its name. */
export function noticeOf(type: string, data: Members): Said {
  const text = textIn(data);
  const note = text("message");
  switch (type) {
    case "notification.payment":
      return payment(data);
    case "notification.account":
      return {
        severity: severity(text("action"), { warning: ["locked", "deleted"], good: ["verified"] }),
        text: `Account of ${text("user_id")}: ${plain(text("action"))}`,
        note,
      };
    case "notification.profile":
      return { severity: "info", text: `Profile of ${text("user_id")}: ${plain(text("action"))}`, note };
    case "notification.activity":
      return { severity: "info", text: `${text("user_id")} ${plain(text("action"))} ${text("object")}`.trim(), note };
    case "notification.system":
      return system(data);
    case "notification.post":
      return post(data);
    case "notification.video":
      return processed("Video", text("video_id"), data);
    case "notification.export":
      return processed("Export", text("export_id"), data);
    default:
      return custom(type, data);
  }
}

function payment(data: Members): Said {
  const text = textIn(data);
  const amount = `${text("amount")} ${text("currency")}`.trim();
  const about = text("reference") === "" ? "" : ` for ${text("reference")}`;
  return {
    severity: severity(text("status"), {
      bad: ["failed"],
      warning: ["refunded", "cancelled"],
      good: ["succeeded"],
    }),
    text: `Payment of ${amount}${about}: ${plain(text("status"))}`,
    note: text("message"),
  };
}

function system(data: Members): Said {
  const text = textIn(data);
  const of = severity(text("status"), { bad: ["outage"], warning: ["degraded", "maintenance"], good: ["operational"] });
  return {
    severity: text("severity") === "critical" ? "bad" : of,
    text: `${text("component")}: ${plain(text("status"))}`,
    note: text("message"),
  };
}

const deeds: Readonly<Record<string, string>> = { commented: "commented on" };

function post(data: Members): Said {
  const text = textIn(data);
  const who = text("by") === "" ? text("author") : text("by");
  const title = text("title") === "" ? text("post_id") : `“${text("title")}”`;
  const action = text("action");
  const deed = deeds[action] ?? plain(action);
  return {
    severity: "info",
    text: who === "" ? `Post ${title}: ${plain(action)}` : `${who} ${deed} the post ${title}`,
    note: text("message"),
  };
}

/** Of something that is processed elsewhere. */
function processed(what: string, id: string, data: Members): Said {
  const text = textIn(data);
  const share = typeof data["progress"] === "number" ? `, ${percent(data["progress"])} done` : "";
  return {
    severity: severity(text("status"), { bad: ["failed"], warning: ["cancelled"], good: ["succeeded"] }),
    text: `${what} ${id}: ${plain(text("status"))}${share}`,
    note: text("error") === "" ? text("message") : text("error"),
  };
}

/** An event of a back end's own: what it says to people, or else its name. */
function custom(type: string, data: Members): Said {
  const text = textIn(data);
  const words = ["message", "title", "text", "subject"].map(text).find((t) => t !== "");
  const name = sentence(type.replace(/^notification\./, "").replaceAll(".", " "));
  const error = text("error");
  return { severity: error === "" ? "info" : "bad", text: words ?? name, note: error };
}

function severity(word: string, of: Partial<Record<Severity, readonly string[]>>): Severity {
  for (const [name, words] of Object.entries(of)) if (words.includes(word)) return name as Severity;
  return "info";
}

function plain(word: string): string {
  return word === "" ? "no word" : word.replaceAll("_", " ");
}

import type { Connection } from "./api";

/** Why a stream ended, in words. */
const reasons: Readonly<Record<string, string>> = {
  client_gone: "The client closed it, or was no longer heard",
  slow: "The client took less than came",
  write_timeout: "The client took nothing for too long",
  expired: "The sign-in had expired",
  closing: "The node was stopped",
  disconnected: "Somebody ended it",
  node_lost: "The node was lost",
  error: "Something went wrong; the node's log says what",
};

/** Why a stream ended. */
export function reasonOf(c: Pick<Connection, "closed_why" | "close_asked_by">): string {
  if (c.closed_why === "disconnected" && c.close_asked_by !== "") return `${c.close_asked_by} ended it`;
  return reasons[c.closed_why] ?? c.closed_why;
}

/** How far a stream has come, and whether that is well. */
export interface Pace {
  readonly text: string;
  readonly tone: "good" | "warn" | "plain";
}

type Seqs = Pick<Connection, "written_seq" | "acked_seq" | "seen_seq" | "acked_at" | "opened_seq" | "visible">;

/** How far its client says that it has come, of what was sent. Seqs are those of the whole log, so only whether they differ says something. */
export function paceOf(c: Seqs): Pace {
  if (c.written_seq <= c.opened_seq) return { text: "Nothing sent yet", tone: "plain" };
  if (c.acked_at === null) return { text: "Sent; the client does not say whether it arrived", tone: "plain" };
  if (c.acked_seq < c.written_seq)
    return { text: `Behind: at #${String(c.acked_seq)} of #${String(c.written_seq)}`, tone: "warn" };
  if (c.seen_seq < c.written_seq)
    return { text: c.visible ? "Arrived" : "Arrived, on a page that is hidden", tone: "good" };
  return { text: "Arrived and seen", tone: "good" };
}

/** What a browser or program calls itself, in a few words. */
export function clientOf(agent: string): string {
  if (agent === "") return "Unknown client";
  const os = [
    ["Android", "Android"],
    ["iPhone", "iPhone"],
    ["iPad", "iPad"],
    ["Mac OS X", "macOS"],
    ["Windows", "Windows"],
    ["CrOS", "ChromeOS"],
    ["Linux", "Linux"],
  ].find(([sign = ""]) => agent.includes(sign))?.[1];
  const browser = [
    [/Edg(?:e|A|iOS)?\/(\d+)/, "Edge"],
    [/OPR\/(\d+)/, "Opera"],
    [/(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
    [/(?:HeadlessChrome|Chrome|CriOS)\/(\d+)/, "Chrome"],
    [/Version\/(\d+).*Safari/, "Safari"],
  ] as const;
  for (const [sign, name] of browser) {
    const version = sign.exec(agent)?.[1];
    if (version !== undefined) return `${name} ${version}${os === undefined ? "" : ` on ${os}`}`;
  }
  return agent.split(" ", 1)[0] ?? agent;
}

/** What a stream follows, without the topic that is its own. */
export function topicsOf(c: Pick<Connection, "id" | "topics">): readonly string[] {
  return c.topics.filter((topic) => topic !== `client:${c.id}`);
}

import type { LogRecord } from "./record";
import { sentenceOf } from "./sentences";

/** What a tail follows, as the address says it. */
export interface TailFilters {
  readonly user: string;
  readonly types: readonly string[];
  /** Looked for in what has come. */
  readonly text: string;
}

/** Reads the query of an address. */
export function parseTailFilters(query: string): TailFilters {
  const said = new URLSearchParams(query);
  return {
    user: (said.get("user") ?? "").trim(),
    types: [...new Set(said.getAll("type").filter((type) => type !== ""))],
    text: said.get("text") ?? "",
  };
}

/** The query of an address that says the same. */
export function tailQuery({ user, types, text }: TailFilters): string {
  const query = new URLSearchParams();
  if (user !== "") query.set("user", user);
  for (const type of types) query.append("type", type);
  if (text !== "") query.set("text", text);
  return query.toString();
}

/** What of an event a text is looked for in, in small letters. */
const words = new WeakMap<LogRecord, string>();

function wordsOf(event: LogRecord): string {
  let known = words.get(event);
  if (known === undefined) {
    const { text, note, subject } = sentenceOf(event);
    known = [text, note, subject, event.type, event.actor, ...(event.topics ?? []), JSON.stringify(event.data)]
      .join("\n")
      .toLowerCase();
    words.set(event, known);
  }
  return known;
}

/** Reports of an event whether the text is in it, in small letters or large. */
export function matcher(text: string): (event: LogRecord) => boolean {
  const wanted = text.trim().toLowerCase();
  return wanted === "" ? () => true : (event) => wordsOf(event).includes(wanted);
}

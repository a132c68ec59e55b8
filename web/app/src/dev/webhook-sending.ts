import type { LogEvent } from "@herald/client";
import { type Answer, ask } from "./api";
import { anotherSecret, type Form, sign } from "./sign";

/** How a webhook is signed: well, or so that it is to be refused. */
export type Signing = "well" | "late" | "wrongly";

/** A request as it was sent, to be sent again. */
export interface Sending {
  readonly source: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What became of a sending. */
export interface Exchange {
  readonly n: number;
  readonly sending: Sending;
  readonly answer: Answer;
  /** The events that came of it, as far as the page's user may see them. */
  readonly events: readonly LogEvent[];
  /** The ids of the events are those of an exchange before: nothing was published. */
  readonly repeated: boolean;
}

/** A signature from so long ago is too old for every source. */
const tooLateMs = 2 * 3600 * 1000;
/** The event follows its answer: it is looked for so often, after so many milliseconds each. */
const looks = 20;
const lookEvery = 250;

/** Signs a webhook of the source. */
export async function signed(form: Form, secret: string, how: Signing, id: string, body: string): Promise<Sending> {
  const at = new Date(Date.now() - (how === "late" ? tooLateMs : 0));
  const headers = await sign(form, how === "wrongly" ? anotherSecret() : secret, { id, at, body });
  return { source: form.name, headers, body };
}

/** Sends it, as its service would: without the page's cookie. */
export function deliver({ source, headers, body }: Sending): Promise<Answer> {
  return ask("POST", `/api/webhooks/${encodeURIComponent(source)}`, { body, headers, credentials: "omit" });
}

/** The ids of the events that the webhook became. */
export function eventIds({ json }: Answer): readonly string[] {
  return (json as { event_ids?: readonly string[] } | undefined)?.event_ids ?? [];
}

/** Looks for the events in the newest of the log. What is for others is not shown to everybody, and so not found. */
export async function findEvents(ids: readonly string[]): Promise<LogEvent[]> {
  for (let look = 0; look < looks && ids.length > 0; look++) {
    const { json } = await ask("GET", "/api/events?limit=100");
    const { events = [] } = (json ?? {}) as { events?: readonly LogEvent[] };
    const found = events.filter((event) => ids.includes(event.id));
    if (found.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, lookEvery));
  }
  return [];
}

import { EventStream, HeraldClient, HeraldError, type Shared } from "@herald/client";
import { Clock } from "../clock";
import type { Desk } from "../desk";
import { Live } from "../live";
import { News } from "../news";
import { JobStore } from "../store";
import { Uploads } from "../uploads";

/** The secret of the link in the address; empty when it has none. It stays there, so that the page can be loaded again. */
export function secretOf(hash: string): string {
  const secret = hash.replace(/^#/, "");
  return /^hs_[\w-]{43}$/.test(secret) ? secret : "";
}

/** What a guest has come by, as far as is known. */
export type Visit =
  | { status: "loading" }
  | { status: "unreachable" }
  | { status: "open"; shared: Shared }
  | { status: "closed"; why: "expired" | "revoked" | "unknown" };

/** A client that comes by the link, whoever is signed in besides. */
export function guestClient(secret: string): HeraldClient {
  return new HeraldClient({ token: () => secret, credentials: "omit" });
}

/** Asks what the link shows. */
export async function enter(secret: string): Promise<Visit> {
  try {
    const headers = { authorization: `Bearer ${secret}` };
    const response = await fetch("/api/share", { headers, credentials: "omit" });
    if (!response.ok) throw await HeraldError.from(response);
    return { status: "open", shared: (await response.json()) as Shared };
  } catch (err) {
    if (!(err instanceof HeraldError) || err.status !== 401) return { status: "unreachable" };
    return { status: "closed", why: whyClosed(err.type) };
  }
}

function whyClosed(problem: string): "expired" | "revoked" | "unknown" {
  switch (problem) {
    case "/problems/share-expired":
      return "expired";
    case "/problems/share-revoked":
      return "revoked";
    default:
      return "unknown";
  }
}

/** The desk of a guest: it knows one job, and follows that alone. `onEnd` is called when the link shows nothing any more. */
export function guestDesk(client: HeraldClient, secret: string, job: string, onEnd: () => void): Desk {
  const clock = new Clock();
  const store = new JobStore();
  const api = {
    job: (id: string) => client.job(id),
    listJobs: async () => ({ jobs: [await client.job(job)], next: "" }),
  };
  const live = new Live(
    api,
    store,
    clock,
    onEnd,
    (on) =>
      new EventStream({
        url: "/api/sse",
        topics: [`job:${job}`],
        headers: () => ({ authorization: `Bearer ${secret}` }),
        credentials: "omit",
        acknowledge: false,
        ...on,
      }),
  );
  const uploads = new Uploads(client, () => undefined);
  const news = new News(client, "", { visible: () => true, seen: () => true, tell: () => undefined });
  return { client, clock, store, live, uploads, news, guest: true };
}

import { EventStream, HeraldClient, type JobEvent } from "@herald/client";
import { type APIRequestContext, expect } from "@playwright/test";
import { EventSource as NodeEventSource } from "eventsource";
import { type Herald, test } from "./herald";
import { signIn } from "./page";

const types =
  "queued started progress step message retrying stalled resumed cancelling cancelled succeeded failed late_report".split(
    " ",
  );
/** Every event counts: no progress is left out for a newer one. */
const stream = "/api/sse?topic=user:demo&conflate=off";

/** What the test needs of the two. */
interface Source {
  addEventListener(type: string, listener: (event: MessageEvent) => void): void;
}

/** Api is Herald's, as the user of the token. */
class Api {
  readonly token: string;
  readonly #herald: Herald;
  readonly #request: APIRequestContext;

  constructor(herald: Herald, request: APIRequestContext) {
    this.token = herald.link.split("#token=")[1] ?? "";
    this.#herald = herald;
    this.#request = request;
  }

  url(path: string): string {
    return `http://${this.#herald.address}${path}`;
  }

  /** Starts a job on a test video of so many seconds and returns its id. */
  async start(seconds: number): Promise<string> {
    const response = await this.#request.post(this.url("/api/jobs"), {
      headers: this.#headers(),
      data: { kind: "video", title: "A test", args: { source: { test: { seconds } }, preset: "mp4-720p" } },
    });
    expect(response.status(), await response.text()).toBe(201);
    return ((await response.json()) as { id: string }).id;
  }

  async cancel(id: string): Promise<void> {
    const response = await this.#request.post(this.url(`/api/jobs/${id}/cancel`), { headers: this.#headers() });
    expect(response.status(), await response.text()).toBe(202);
  }

  async state(id: string): Promise<string> {
    const response = await this.#request.get(this.url(`/api/jobs/${id}`), { headers: this.#headers() });
    return ((await response.json()) as { state: string }).state;
  }

  /** The ids of all events of the jobs, as the log has them. */
  async log(jobs: readonly string[]): Promise<string[]> {
    const seqs: number[] = [];
    for (const id of jobs) {
      const response = await this.#request.get(this.url(`/api/jobs/${id}/events`), { headers: this.#headers() });
      const { events } = (await response.json()) as { events: readonly JobEvent[] };
      expect(events.map((e) => e.type.replace("job.", "")).filter((name) => !types.includes(name))).toEqual([]);
      seqs.push(...events.map((e) => e.seq));
    }
    return seqs.sort((a, b) => a - b).map(String);
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.token}` };
  }
}

/** Follows the stream with a library that others wrote, in Node; what it got grows as it goes. */
function followInNode(api: Api): { got: string[]; open: Promise<void>; close: () => void } {
  const source = new NodeEventSource(api.url(stream), {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${api.token}` } }),
  });
  const got: string[] = [];
  const target: Source = source;
  for (const type of types) {
    target.addEventListener(`job.${type}`, (event) => {
      got.push(event.lastEventId);
    });
  }
  const open = new Promise<void>((resolve) => {
    target.addEventListener("stream.snapshot", () => {
      resolve();
    });
  });
  return {
    got,
    open,
    close: () => {
      source.close();
    },
  };
}

/** Follows the stream with our own client, in Node, by a ticket for each connection; what it got grows as it goes. */
async function followWithClient(api: Api): Promise<{ got: string[]; close: () => void }> {
  const got: string[] = [];
  const herald = new HeraldClient({ baseURL: api.url(""), token: () => api.token });
  return new Promise((resolve) => {
    const client = new EventStream({
      url: api.url("/api/sse?conflate=off"),
      topics: ["user:demo"],
      types: ["job.*"],
      ticket: () => herald.ticket(),
      onEvent: (event) => {
        if ("seq" in event) got.push(String(event.seq));
        else if (event.type === "stream.snapshot") {
          resolve({
            got,
            close: () => {
              client.close();
            },
          });
        }
      },
    });
  });
}

test("EventSource, the browser's own and Node's, and EventStream in Node miss nothing across restarts", async ({
  herald,
  page,
  request,
}) => {
  const api = new Api(herald, request);
  await signIn(page, herald.link);
  await page.goto(api.url("/healthz")); // of the same origin, and without the app
  await page.evaluate(
    async ({ stream, types }) => {
      const got: string[] = [];
      const source = new EventSource(stream);
      Object.assign(window, { got });
      for (const type of types) {
        source.addEventListener(`job.${type}`, (event: MessageEvent) => {
          got.push(event.lastEventId);
        });
      }
      await new Promise((resolve) => {
        source.addEventListener("stream.snapshot", resolve);
      });
    },
    { stream, types },
  );
  const inBrowser = () => page.evaluate(() => (window as unknown as { got: string[] }).got);
  const node = followInNode(api);
  const client = await followWithClient(api);
  try {
    await node.open;
    const jobs = [await api.start(2), await api.start(60)];
    await expect.poll(() => api.state(jobs[0] ?? ""), { timeout: 60_000 }).toBe("succeeded");
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await herald.end(signal);
      await herald.start();
      jobs.push(await api.start(2));
    }
    await api.cancel(jobs[1] ?? "");
    for (const id of jobs) {
      await expect.poll(() => api.state(id), { timeout: 120_000 }).toMatch(/^(succeeded|cancelled)$/);
    }
    const log = await api.log(jobs);
    expect(log.length).toBeGreaterThan(20);
    await expect.poll(async () => (await inBrowser()).at(-1)).toBe(log.at(-1));
    await expect.poll(() => node.got.at(-1)).toBe(log.at(-1));
    expect(await inBrowser()).toEqual(log);
    expect(node.got).toEqual(log);
    await expect.poll(() => client.got.at(-1)).toBe(log.at(-1));
    expect(client.got).toEqual(log);
  } finally {
    node.close();
    client.close();
  }
});

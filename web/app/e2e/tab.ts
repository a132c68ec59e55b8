import { readFile } from "node:fs/promises";
import type * as client from "@herald/client";
import { type APIRequestContext, type BrowserContext, expect, type Page } from "@playwright/test";
import type { Herald } from "./herald";

/** What a tab's page notes of its stream. */
export interface Notes {
  readonly got: number[];
  readonly states: string[];
  /** How many connections it has. */
  connections: number;
  /** The longest time between two events, in milliseconds. */
  longestGap: number;
  from: number;
  at: number;
}

/** Backend starts a job of the user's that runs elsewhere, and reports on it. */
export class Backend {
  readonly #request: APIRequestContext;
  readonly #base: string;
  readonly #headers: { authorization: string };
  #job = "";
  #reports = 0;

  private constructor(request: APIRequestContext, base: string, token: string) {
    this.#request = request;
    this.#base = base;
    this.#headers = { authorization: `Bearer ${token}` };
  }

  static async create(herald: Herald, request: APIRequestContext, owner: string): Promise<Backend> {
    const backend = new Backend(request, `http://${herald.address}/api`, await tokenOf(herald, "admin", "admin"));
    const job = { kind: "counting", title: "Counting", owner, external: true, start: true };
    const started = await backend.#post("jobs", job);
    backend.#job = ((await started.json()) as { id: string }).id;
    return backend;
  }

  /** Reports so many times. */
  async report(times: number, more: object = {}): Promise<void> {
    for (let i = 0; i < times; i++) {
      const reports = [{ attempt: 1, message: `report ${String(++this.#reports)}`, ...more }];
      await this.#post(`jobs/${this.#job}/reports`, { reports });
    }
  }

  /** The seqs of all that happened to the job, once all is in the log: it was queued, begun, and reported on. */
  async log(): Promise<number[]> {
    let seqs: number[] = [];
    const read = async () => {
      const { events } = await this.#get<{ events: { seq: number }[] }>(`jobs/${this.#job}/events`);
      seqs = events.map((event) => event.seq);
      return seqs.length;
    };
    await expect.poll(read).toBe(this.#reports + 2);
    return seqs;
  }

  /** How many streams of the user are open. */
  async streams(user: string): Promise<number> {
    return (await this.#get<{ connections: number }>(`users/${user}/presence`)).connections;
  }

  async #post(path: string, data: unknown) {
    const response = await this.#request.post(`${this.#base}/${path}`, { headers: this.#headers, data });
    expect(response.ok(), await response.text()).toBe(true);
    return response;
  }

  async #get<T>(path: string): Promise<T> {
    const response = await this.#request.get(`${this.#base}/${path}`, { headers: this.#headers });
    expect(response.ok(), await response.text()).toBe(true);
    return (await response.json()) as T;
  }
}

/** A token of the user's. */
export async function tokenOf(herald: Herald, user: string, role?: string): Promise<string> {
  return (await herald.linkFor(user, role)).split("#token=")[1] ?? "";
}

/** Serves the client, as built, and a page without any policy of its own. */
export async function serveClient(context: BrowserContext): Promise<void> {
  const body = await readFile(new URL("../../client/dist/index.js", import.meta.url), "utf8");
  await context.route("**/herald-client.js", (route) => route.fulfill({ body, contentType: "text/javascript" }));
  await context.route("**/empty", (route) => route.fulfill({ body: "<!doctype html>", contentType: "text/html" }));
}

/** Signs the context in. */
export async function enter(context: BrowserContext, herald: Herald): Promise<void> {
  const authorization = `Bearer ${await tokenOf(herald, "demo")}`;
  const response = await context.request.post(`http://${herald.address}/api/session`, { headers: { authorization } });
  expect(response.ok()).toBe(true);
}

/** What a tab follows, besides what all do. */
interface Asked {
  readonly token?: string;
}

/** Opens a tab that follows the user's stream, and waits until it does. */
export async function openTab(
  context: BrowserContext,
  { address }: Pick<Herald, "address">,
  user: string,
  { token }: Asked = {},
): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`http://${address}/empty`);
  await page.evaluate(
    async ({ user, token }) => {
      const path = "/herald-client.js";
      const { SharedStream } = (await import(path)) as typeof client;
      const notes: Notes = { got: [], states: [], connections: 0, longestGap: 0, from: 0, at: 0 };
      Object.assign(window, { notes });
      const stream = new SharedStream({
        url: "/api/sse?conflate=off",
        user,
        ...(token === undefined ? {} : { token: () => token }),
        fetch: (url, init) => {
          if (init?.method !== "POST") {
            notes.connections++;
            init?.signal?.addEventListener("abort", () => notes.connections--);
          }
          return fetch(url, init);
        },
        onState: (state) => notes.states.push(state),
        onEvent: (event) => {
          if (event.type === "stream.snapshot") notes.from = Number(stream.lastEventId);
          if (!("seq" in event)) return;
          const now = performance.now();
          if (notes.got.length > 0) notes.longestGap = Math.max(notes.longestGap, now - notes.at);
          notes.at = now;
          notes.got.push(event.seq);
        },
      });
    },
    { user, ...(token === undefined ? {} : { token }) },
  );
  await expect.poll(async () => (await notesOf(page)).states.at(-1)).toBe("live");
  return page;
}

/** What the tab has noted so far. */
export function notesOf(page: Page): Promise<Notes> {
  return page.evaluate(() => (window as unknown as { notes: Notes }).notes);
}

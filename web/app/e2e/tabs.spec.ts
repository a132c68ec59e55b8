import { readFile } from "node:fs/promises";
import type * as client from "@herald/client";
import { type APIRequestContext, type BrowserContext, expect, type Page } from "@playwright/test";
import { freePort, type Herald, test } from "./herald";
import { expectBadge, signIn } from "./page";

/** What a tab's page notes of its stream. */
interface Notes {
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
class Backend {
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

async function tokenOf(herald: Herald, user: string, role?: string): Promise<string> {
  return (await herald.linkFor(user, role)).split("#token=")[1] ?? "";
}

/** Serves the client, as built, and a page without any policy of its own. */
async function serveClient(context: BrowserContext): Promise<void> {
  const body = await readFile(new URL("../../client/dist/index.js", import.meta.url), "utf8");
  await context.route("**/herald-client.js", (route) => route.fulfill({ body, contentType: "text/javascript" }));
  await context.route("**/empty", (route) => route.fulfill({ body: "<!doctype html>", contentType: "text/html" }));
}

/** Signs the context in. */
async function enter(context: BrowserContext, herald: Herald): Promise<void> {
  const authorization = `Bearer ${await tokenOf(herald, "demo")}`;
  const response = await context.request.post(`http://${herald.address}/api/session`, { headers: { authorization } });
  expect(response.ok()).toBe(true);
}

/** Opens a tab that follows the user's stream, and waits until it does. */
async function openTab(context: BrowserContext, herald: Herald, user: string, token?: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`http://${herald.address}/empty`);
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

function notesOf(page: Page): Promise<Notes> {
  return page.evaluate(() => (window as unknown as { notes: Notes }).notes);
}

/** The tabs that have a connection. */
async function leaders(tabs: readonly Page[]): Promise<Page[]> {
  const all = await Promise.all(tabs.map(notesOf));
  return tabs.filter((_, i) => (all[i]?.connections ?? 0) > 0);
}

/** Expects each tab to have got all since it was there, once and in order, by one connection. */
async function expectAll(tabs: readonly Page[], backend: Backend): Promise<void> {
  const log = await backend.log();
  for (const tab of tabs) {
    await expect.poll(async () => (await notesOf(tab)).got.at(-1)).toBe(log.at(-1));
    const { got, from } = await notesOf(tab);
    expect(got).toEqual(log.filter((seq) => seq > from));
  }
  await expect.poll(async () => (await leaders(tabs)).length).toBe(1);
}

test("all tabs have one connection, whatever becomes of the tab that holds it", async ({
  herald,
  context,
  request,
}, info) => {
  await serveClient(context);
  await enter(context, herald);
  const backend = await Backend.create(herald, request, "demo");
  let tabs = [await openTab(context, herald, "demo"), await openTab(context, herald, "demo")];
  await backend.report(5);
  await expectAll(tabs, backend);

  for (let i = 0; i < 8; i++) {
    tabs.push(await openTab(context, herald, "demo"));
    await backend.report(1);
  }
  await expectAll(tabs, backend);
  await expect.poll(() => backend.streams("demo")).toBe(1);

  const withoutLeader = async (end: (leader: Page) => Promise<unknown>, what: string) => {
    const [leader] = await leaders(tabs);
    if (leader === undefined) throw new Error("no tab has a connection");
    await Promise.all([backend.report(60), end(leader)]);
    const others = tabs.filter((tab) => tab !== leader);
    await expectAll(others, backend);
    const gaps = (await Promise.all(others.map(notesOf))).map((notes) => notes.longestGap);
    info.annotations.push({
      type: what,
      description: `longest time without an event: ${Math.max(...gaps).toFixed()} ms`,
    });
    await Promise.all(
      others.map((tab) =>
        tab.evaluate(() =>
          Object.assign((window as unknown as { notes: Notes }).notes, { longestGap: 0, at: performance.now() }),
        ),
      ),
    );
    return { leader, others };
  };

  ({ others: tabs } = await withoutLeader((leader) => leader.close(), "closed"));

  const crash = async (leader: Page) => {
    const crashed = leader.waitForEvent("crash");
    const session = await context.newCDPSession(leader);
    session.send("Page.crash").catch(() => undefined);
    await crashed;
  };
  ({ others: tabs } = await withoutLeader(crash, "crashed"));

  await herald.end("SIGKILL");
  await expect
    .poll(async () => (await Promise.all(tabs.map(notesOf))).map((n) => n.states.at(-1)))
    .not.toContain("live");
  await herald.start();
  await backend.report(5);
  await expectAll(tabs, backend);
  for (const annotation of info.annotations) console.log(annotation.type, annotation.description);
});

test("a frozen tab hands its connection on, and fetches what it missed when it is back", async ({
  herald,
  launchOptions,
  playwright,
  request,
}) => {
  const port = await freePort();
  const args = [...(launchOptions.args ?? []), `--remote-debugging-port=${String(port)}`];
  const launched = await playwright.chromium.launch({ ...launchOptions, args });
  try {
    // Pages that are made to believe that they have the focus are not frozen.
    const browser = await playwright.chromium.connectOverCDP(`http://127.0.0.1:${String(port)}`, { noDefaults: true });
    const [context] = browser.contexts();
    if (context === undefined) throw new Error("the browser has no context");
    await serveClient(context);
    await enter(context, herald);
    const backend = await Backend.create(herald, request, "demo");
    const tabs: Page[] = [];
    for (let i = 0; i < 3; i++) tabs.push(await openTab(context, herald, "demo"));
    await backend.report(1);
    await expectAll(tabs, backend);
    const [leader] = await leaders(tabs);
    if (leader === undefined) throw new Error("no tab has a connection");
    const session = await context.newCDPSession(leader);
    await Promise.all([backend.report(40), session.send("Page.setWebLifecycleState", { state: "frozen" })]);
    await expectAll(
      tabs.filter((tab) => tab !== leader),
      backend,
    );
    await session.send("Page.setWebLifecycleState", { state: "active" });
    await backend.report(5);
    await expectAll(tabs, backend);
    expect((await notesOf(leader)).connections).toBe(0);
  } finally {
    await launched.close();
  }
});

test("tabs of different users share nothing", async ({ herald, context, request }) => {
  await serveClient(context);
  const people: { tabs: Page[]; backend: Backend }[] = [];
  for (const name of ["alice", "bob"]) {
    const token = await tokenOf(herald, name);
    const tabs = [await openTab(context, herald, name, token), await openTab(context, herald, name, token)];
    people.push({ tabs, backend: await Backend.create(herald, request, name) });
  }
  for (const { backend } of people) await backend.report(5);
  for (const { tabs, backend } of people) await expectAll(tabs, backend);
});

test("the web app's tabs share one connection", async ({ herald, context, request }) => {
  const backend = await Backend.create(herald, request, "demo");
  const first = await context.newPage();
  await signIn(first, herald.link);
  const second = await context.newPage();
  await second.goto(`http://${herald.address}/`);
  await expectBadge(second, "Live");
  await expect.poll(() => backend.streams("demo")).toBe(1);
  await backend.report(1);
  for (const page of [first, second]) await expect(page.getByText("report 1")).toBeVisible();
  await first.close();
  await backend.report(1);
  await expect(second.getByText("report 2")).toBeVisible();
  await expect.poll(() => backend.streams("demo")).toBe(1);
});

test("the example of the client's README, which is served in development, shows a job as it goes", async ({
  herald,
  page,
  context,
  request,
}) => {
  await enter(context, herald);
  const readme = await readFile(new URL("../../client/README.md", import.meta.url), "utf8");
  const backend = await Backend.create(herald, request, "demo");
  const served = await page.goto(`http://${herald.address}/dev/example.html`);
  expect(/```html\n(.*?)```/s.exec(readme)?.[1]).toBe(await served?.text());
  await expect(page.getByRole("listitem")).toHaveText("running, 0 %");
  await expect(page).toHaveTitle("live");
  await backend.report(1, { progress: 0.42 });
  await expect(page.getByRole("listitem")).toHaveText("running, 42 %");
});

import { readFile } from "node:fs/promises";
import {
  type BrowserContext,
  expect,
  type LaunchOptions,
  type Page,
  type PlaywrightWorkerArgs,
} from "@playwright/test";
import { Caller } from "./caller";
import { freePort, test } from "./herald";
import { card, expectBadge, signIn } from "./page";
import { Backend, enter, type Notes, notesOf, openTab, serveClient, tokenOf } from "./tab";

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

/**
 * Uses a browser with a window, of whose pages one is in front, and which are not made to believe that they have the focus:
 * one tab is visible, others can be frozen.
 */
async function asPeopleHaveIt(
  { chromium }: PlaywrightWorkerArgs["playwright"],
  options: LaunchOptions,
  use: (context: BrowserContext) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const args = [...(options.args ?? []), `--remote-debugging-port=${String(port)}`];
  const launched = await chromium.launch({ ...options, args, executablePath: "/usr/bin/chromium" });
  try {
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${String(port)}`, { noDefaults: true });
    const [context] = browser.contexts();
    if (context === undefined) throw new Error("the browser has no context");
    await use(context);
  } finally {
    await launched.close();
  }
}

test("a frozen tab hands its connection on, and fetches what it missed when it is back", async ({
  herald,
  launchOptions,
  playwright,
  request,
}) => {
  await asPeopleHaveIt(playwright, launchOptions, async (context) => {
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
  });
});

test("tabs of different users share nothing", async ({ herald, context, request }) => {
  await serveClient(context);
  const people: { tabs: Page[]; backend: Backend }[] = [];
  for (const name of ["alice", "bob"]) {
    const token = await tokenOf(herald, name);
    const tabs = [await openTab(context, herald, name, { token }), await openTab(context, herald, name, { token })];
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

test("ten tabs on differing pages take up two connections, and each is current when it is looked at", async ({
  herald,
  launchOptions,
  playwright,
  request,
}) => {
  await asPeopleHaveIt(playwright, launchOptions, async (context) => {
    const backend = await Caller.create(herald, request, "ops", "admin");
    const titles = ["One", "Two", "Three", "Four"];
    const jobs = await Promise.all(titles.map((title) => backend.begin("alice", title)));
    const [one = ""] = jobs;
    const first = await context.newPage();
    await signIn(first, await herald.linkFor("sue", "support"));
    const tabs: Page[] = [];
    for (const path of [
      ...jobs.map((id) => `jobs/${id}`),
      ...["support", "support/connections", "support/live", "support/live?user=alice", `support/jobs/${one}`],
    ]) {
      const tab = await context.newPage();
      await tab.goto(`http://${herald.address}/${path}`);
      await expectBadge(tab, "Live");
      tabs.push(tab);
    }
    const open = async () =>
      (await backend.get<{ connections: unknown[] }>("connections?user=sue&live=true")).connections.length;
    // What all share, and what the tab in front follows besides. That a client is gone is seen when the server's heart beats.
    await expect.poll(open, { timeout: 60_000 }).toBe(2);
    for (const id of jobs) await backend.report(id, { state: "succeeded" });
    for (const [i, title] of titles.entries()) {
      const tab = tabs[i];
      await tab?.bringToFront();
      if (tab !== undefined) await expect(card(tab, title)).toHaveAttribute("data-state", "succeeded");
    }
    await expect.poll(open, { timeout: 60_000 }).toBe(2);
    await first.bringToFront();
    await expect.poll(open, { timeout: 60_000 }).toBe(1);
  });
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

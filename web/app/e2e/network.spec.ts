import { expect, type Page } from "@playwright/test";
import { Gate } from "./gate";
import { test } from "./herald";
import { card, expectBadge, signIn } from "./page";
import { Caller } from "./caller";
import { notesOf, openTab, serveClient } from "./tab";

/** The bytes of script that a page has fetched, as they came over the wire. */
function scriptBytes(page: Page): Promise<number> {
  return page.evaluate(() =>
    (performance.getEntriesByType("resource") as PerformanceResourceTiming[])
      .filter((entry) => new URL(entry.name).pathname.endsWith(".js"))
      .reduce((sum, entry) => sum + entry.encodedBodySize, 0),
  );
}

test("the first load is 180 kB of script at most, all of it ours", async ({ herald, page }) => {
  const elsewhere: string[] = [];
  page.on("request", (request) => {
    if (new URL(request.url()).host !== herald.address) elsewhere.push(request.url());
  });
  await signIn(page, herald.link);
  const bytes = await scriptBytes(page);
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThanOrEqual(180 * 1024);
  expect(elsewhere).toEqual([]);
});

test("a page that lost the network says so, and misses nothing when it is back", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  const gate = await Gate.to(herald.address);
  try {
    await signIn(page, herald.link.replace(herald.address, gate.address));
    const job = await worker.begin("demo", "Nightly import");
    const shown = card(page, "Nightly import");
    await worker.report(job, { progress: 0.4, message: "row 40" });
    await expect(shown).toContainText("40");
    gate.shut();
    await worker.report(job, { progress: 0.8 }, { state: "succeeded" });
    const failed = await worker.begin("demo", "Second import");
    await worker.report(failed, { state: "failed", error: "The disk is full." });
    await expectBadge(page, /Reconnecting|Offline|Connecting/i);
    // What it knew is still there, and is not called finished.
    await expect(shown).toHaveAttribute("data-state", "running");
    gate.reopen();
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await expectBadge(page, "Live");
    await expect(shown).toHaveAttribute("data-state", "succeeded");
    await expect(card(page, "Second import")).toContainText("The disk is full.");
  } finally {
    await gate.end();
  }
});

test("a silence of some seconds, of which nobody is told, only delays what happens in it", async ({
  herald,
  context,
  request,
}) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const gate = await Gate.to(herald.address);
  try {
    await serveClient(context);
    const page = await context.newPage();
    await signIn(page, herald.link.replace(herald.address, gate.address));
    const tab = await openTab(context, gate, "demo");
    const job = await backend.begin("demo", "Nightly import");
    await backend.report(job, { progress: 0.4 });
    await expect(card(page, "Nightly import")).toContainText("40");
    gate.hold();
    await backend.report(job, { progress: 0.8 }, { message: "row 80" }, { state: "succeeded" });
    const log = await backend.seqs(job, 6);
    await expect(card(page, "Nightly import")).toHaveAttribute("data-state", "running");
    gate.release();
    await expect(card(page, "Nightly import")).toHaveAttribute("data-state", "succeeded");
    await expect.poll(async () => (await notesOf(tab)).got).toEqual(log);
    expect((await notesOf(tab)).states).toEqual(["live"]);
  } finally {
    await gate.end();
  }
});

test("a browser without a network says that it is offline, and goes on where it was", async ({
  herald,
  context,
  request,
}) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  await serveClient(context);
  const page = await context.newPage();
  await signIn(page, herald.link);
  const tab = await openTab(context, herald, "demo");
  const job = await backend.begin("demo", "Nightly import");
  await expect(card(page, "Nightly import")).toBeVisible();
  await context.setOffline(true);
  await expectBadge(page, "Offline");
  await expectBadge(page, "You are offline.");
  await backend.report(job, { progress: 0.8 }, { state: "succeeded" });
  const log = await backend.seqs(job, 4);
  await expect(card(page, "Nightly import")).toHaveAttribute("data-state", "running");
  await context.setOffline(false);
  await expectBadge(page, "Live");
  await expect(card(page, "Nightly import")).toHaveAttribute("data-state", "succeeded");
  await expect.poll(async () => (await notesOf(tab)).got).toEqual(log);
});

test("who is signed out elsewhere is told, and can sign in again", async ({ herald, page, context }) => {
  await signIn(page, herald.link);
  await context.clearCookies();
  await page.reload();
  await expect(page.getByText("herald token").first()).toBeVisible();
  await page.goto(herald.link);
  await expectBadge(page, "Live");
});

test("a page whose token ends signs out, and never shows a stream that is not its own", async ({ herald, page }) => {
  await signIn(page, await herald.linkFor("brief", "user", "6s"));
  await expect(page.getByText("herald token").first()).toBeVisible({ timeout: 40_000 });
  await expect(page.getByText("brief", { exact: true })).toHaveCount(0);
});

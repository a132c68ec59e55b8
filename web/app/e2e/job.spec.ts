import { readFile } from "node:fs/promises";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Locator, type Page } from "@playwright/test";
import { type Herald, test } from "./herald";
import { card, expectBadge, makeTestVideo, signIn, watchBar } from "./page";
import { Caller } from "./caller";

const plan = [
  { name: "fetch", weight: 10 },
  { name: "write_rows", weight: 80 },
  { name: "index", weight: 10 },
];

/** Opens a job's page, and returns its head. */
async function openJob(page: Page, herald: Herald, id: string): Promise<Locator> {
  await page.goto(`http://${herald.address}/jobs/${id}`);
  await expectBadge(page, "Live");
  return page.getByRole("article").first();
}

/** Waits until what has begun to change, as colours do over some frames, has changed. */
async function stilled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame)));
    const ending = document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(ending.map((a) => a.finished));
  });
}

/** What axe finds on the page, light and dark, on a desk and on a phone. */
async function expectAccessible(page: Page): Promise<void> {
  for (const [colorScheme, width] of [
    ["light", 1200],
    ["dark", 360],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await stilled(page);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  }
  await page.setViewportSize({ width: 1200, height: 900 });
}

test("a job that runs elsewhere is followed through failure, silence and a cancel", async ({
  herald,
  page,
  request,
}) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  await signIn(page, herald.link);
  const id = await worker.begin("demo", "Import of orders", {
    worker: "host-7",
    steps: plan,
    args: { file: "orders.csv" },
  });
  const head = await openJob(page, herald, id);
  const bar = await watchBar(page);
  const history = page.getByRole("region", { name: "What happened" });

  await worker.report(id, { attempt: 1, step: "fetch" });
  await worker.report(id, {
    attempt: 1,
    step: "write_rows",
    step_progress: 0.45,
    processed: 412,
    total: 900,
    unit: "rows",
    message: "order 77",
  });
  await expect(head).toContainText("412 of 900 rows");
  await expect(head).toContainText("order 77");
  await expect(head.locator("[aria-current=step]")).toContainText("Write rows");
  await expect(head.locator("[aria-current=step]")).toContainText("3 s"); // ticks without a report
  await expect(head).toContainText(/updated \d+\ss ago/);
  await expect(page.getByRole("img", { name: /Progress over time; attempt 1: 46\s% after/ })).toBeVisible();

  const retryAt = new Date(Date.now() + 60_000).toISOString();
  await worker.report(id, { attempt: 1, state: "retrying", error: "the shop did not answer", retry_at: retryAt });
  await expect(head).toContainText(/Attempt 2 of 3, next try in 0:[3-5]\d/);
  await expect(history.getByRole("group", { name: "Attempt 1" })).toContainText("the shop did not answer");
  await expect(history.getByRole("group", { name: "Attempt 1" })).toContainText("host-7");

  await worker.claim(id, { worker: "host-8" });
  await expect(head).toContainText("attempt 2 of 3");
  await worker.report(id, { attempt: 2, progress: 0.1, next_within_ms: 1000 });
  await expect(head).toContainText(/No word from the worker for \d+\ss/, { timeout: 30_000 });
  await expectAccessible(page);
  await worker.report(id, { attempt: 2, progress: 0.3 });
  await expect(head).not.toContainText("No word");
  await expect(history).toContainText("The worker is heard again");

  await page.emulateMedia({ reducedMotion: "reduce" });
  await head.getByRole("button", { name: /^Cancel/ }).focus();
  await page.keyboard.press("Enter");
  await expect(head).toContainText(/cancel requested \d+\ss ago/);
  await expect(head).toContainText("stops at the next safe point");
  await worker.report(id, { attempt: 2, state: "cancelled" });
  await expect(head).toHaveAttribute("data-state", "cancelled");
  await expect(history.getByRole("group", { name: "Attempt 2" })).toContainText("cancelled");

  for (const attempt of [1, 2]) {
    const percents = (await bar()).filter((s) => s.attempt === attempt).map((s) => s.percent);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
  }
  const again = head.getByRole("button", { name: /^Run again/ });
  await expect(again).toHaveAttribute("aria-disabled", "true");
  await again.hover();
  await expect(head.getByRole("tooltip").filter({ hasText: "runs elsewhere" })).toBeVisible();
});

test("a worker that is lost is told of, and what it said is folded", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  await signIn(page, herald.link);
  const id = await worker.begin("demo", "A lost one", { worker: "host-7", max_attempts: 1, lease_ms: 1000 });
  await worker.report(id, ...Array.from({ length: 30 }, (_, i) => ({ attempt: 1, message: `line ${String(i + 1)}` })));
  const head = await openJob(page, herald, id);
  await expect(page.getByText("line 30").last()).toBeVisible();
  await expect(page.getByText("line 12", { exact: true })).toHaveCount(0);
  await page.getByRole("button", { name: "Show 26 earlier messages" }).click();
  await expect(page.getByText("line 12", { exact: true })).toBeVisible();
  await expect(head).toHaveAttribute("data-state", "failed", { timeout: 120_000 });
  await expect(head).toContainText("The worker was lost");
});

test("an export shows its first rows, and is downloaded by a link that is signed", async ({
  herald,
  page,
  request,
  context,
}) => {
  const demo = await Caller.create(herald, request, "demo", "user");
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: `http://${herald.address}` });
  await signIn(page, herald.link);
  for (const [format, compression] of [
    ["ndjson", "none"],
    ["csv", "gzip"],
  ]) {
    const id = await demo.start({
      kind: "export",
      title: "My events",
      args: { dataset: "events", format, compression },
    });
    await openJob(page, herald, id);
    const rows = page.getByRole("region", { name: "The first rows" });
    await expect(rows.getByRole("columnheader", { name: "type" })).toBeVisible();
    await expect(rows.getByText("job.queued").first()).toBeVisible();
  }
  await expectAccessible(page);

  await page.getByRole("button", { name: "Copy the SHA-256" }).click();
  const sha = await page.evaluate(() => navigator.clipboard.readText());
  expect(sha).toMatch(/^[0-9a-f]{64}$/);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download" }).click(),
  ]);
  expect(download.url()).toContain("signature=");
  expect((await readFile(await download.path())).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
  await page.getByRole("button", { name: "Copy link" }).click();
  await expect(page.getByText("It works for an hour")).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect((await request.get(link)).status()).toBe(200); // without being signed in

  const parquet = await demo.start({
    kind: "export",
    title: "For programs",
    args: { dataset: "events", format: "parquet" },
  });
  await openJob(page, herald, parquet);
  await expect(page.getByText("Parquet is made for programs to read, so there is no preview.")).toBeVisible();
  await page.getByRole("button", { name: "Run again For programs" }).click();
  await expect(page).not.toHaveURL(new RegExp(parquet));
  await expect(page.getByRole("article").first()).toHaveAttribute("data-state", "succeeded");
});

test("a video's page says when it starts and ends, and is never ahead of it", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const made = await makeTestVideo(page, "5 s");
  await made.getByRole("link").first().click();
  await page.evaluate(() => {
    const heard: string[] = [];
    (window as unknown as { heard: string[] }).heard = heard;
    const live = document.querySelector("[aria-live=polite].sr-only");
    new MutationObserver(() => heard.push(live?.textContent ?? "")).observe(live ?? document, {
      subtree: true,
      childList: true,
      characterData: true,
    });
    const early = () => {
      const head = document.querySelector("article[data-state]");
      if (head?.getAttribute("data-state") !== "succeeded" && /\b100\s%/.test(head?.textContent ?? ""))
        heard.push("early");
    };
    new MutationObserver(early).observe(document.body, {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
    });
  });
  const head = page.getByRole("article").first();
  await expect(head).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
  await expect(head.locator("video")).toBeVisible();
  await expect(head.getByRole("list", { name: "Steps" })).toContainText("Convert");
  const heard = await page.evaluate(() => (window as unknown as { heard: string[] }).heard);
  expect(heard.filter((text) => text !== "Test video, 5 s has started.")).toEqual(["Test video, 5 s: finished."]);
  await page.reload();
  await expectBadge(page, "Live");
  await expect(head).toHaveAttribute("data-state", "succeeded");
  await expectAccessible(page);
});

test("a job that is another's, or was deleted, does not exist", async ({ herald, page, request, browser }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  const id = await worker.begin("demo", "Mine");
  await worker.report(id, { attempt: 1, state: "failed", error: "no" });
  const others = await browser.newPage();
  await signIn(others, await herald.linkFor("alice"));
  await others.goto(`http://${herald.address}/jobs/${id}`);
  await expect(others.getByRole("heading", { name: "There is no such job" })).toBeVisible();

  await signIn(page, herald.link);
  const second = await page.context().newPage();
  await openJob(second, herald, id);
  const head = await openJob(page, herald, id);
  await head.getByRole("button", { name: /^Delete/ }).click();
  await head.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(card(page, "Mine")).toHaveCount(0);
  await expect(second.getByRole("heading", { name: "There is no such job" })).toBeVisible();
});

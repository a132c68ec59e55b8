import { fileURLToPath } from "node:url";
import { expect, type Page } from "@playwright/test";
import { test } from "./herald";
import { Caller } from "./caller";
import { card, expectBadge, makeTestVideo, pageOf, signIn, writeNotes } from "./page";

const folder = fileURLToPath(new URL("../../../docs/screens/", import.meta.url));

async function shoot(page: Page, name: string, fullPage = false): Promise<void> {
  await expectBadge(page, "Live");
  await expect(page.locator("[aria-busy=true]")).toHaveCount(0);
  await page.screenshot({ path: `${folder}${name}.png`, fullPage });
}

test("the page at work, on a desk and on a phone", async ({ herald, page }, testInfo) => {
  await page.setViewportSize({ width: 1200, height: 760 });
  await signIn(page, herald.link);
  await page.emulateMedia({ reducedMotion: "reduce" });
  const done = await makeTestVideo(page, "5 s");
  await expect(done).toHaveAttribute("data-state", "succeeded", { timeout: 60_000 });
  await page.getByLabel("Video files").setInputFiles(await writeNotes(testInfo.outputPath("notes.mp4")));
  await expect(card(page, "notes.mp4")).toHaveAttribute("data-state", "failed");

  const running = await makeTestVideo(page, "1 min");
  await expect(running).toContainText(/\d fps.*left/, { timeout: 60_000 });
  await expect(running.getByRole("progressbar").first()).toHaveAttribute("aria-valuenow", /^[3-9]\d/, {
    timeout: 60_000,
  });
  await shoot(page, "running");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "phone-dark");

  await page.setViewportSize({ width: 1200, height: 760 });
  await page.emulateMedia({ colorScheme: "light" });
  await running.getByRole("button", { name: /^Cancel/ }).click();
  await expect(running).toHaveAttribute("data-state", "cancelled");
  await shoot(page, "jobs", true);
  await done.getByRole("link").first().click();
  await expect(page.getByText("What happened")).toBeVisible();
  await shoot(page, "job", true);
});

test("a job that is shared", async ({ herald, page }) => {
  await page.setViewportSize({ width: 1200, height: 760 });
  await signIn(page, herald.link);
  await page.emulateMedia({ reducedMotion: "reduce" });
  const done = await makeTestVideo(page, "5 s");
  await expect(done).toHaveAttribute("data-state", "succeeded", { timeout: 60_000 });
  await done.getByRole("link").first().click();
  await page.getByRole("button", { name: "Share" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("checkbox").check();
  await dialog.getByRole("button", { name: "Make a link" }).click();
  const link = await dialog.getByRole("textbox", { name: "Link" }).inputValue();
  await shoot(page, "share");
  await page.goto(link);
  await expect(page.getByRole("region", { name: "What happened" })).toContainText("succeeded");
  await shoot(page, "shared", true);
});

test("the support desk, light and dark, on a desk and on a phone", async ({ herald, page, browser, request }) => {
  const shop = await Caller.create(herald, request, "shop", "backend");
  await page.setViewportSize({ width: 1200, height: 860 });
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const user of ["alice", "bob"]) {
    const theirs = await browser.newPage();
    await signIn(theirs, await herald.linkFor(user));
    await shop.tell(user, "notification.payment", {
      payment_id: "p-1",
      status: "succeeded",
      amount: "24.00",
      currency: "EUR",
    });
  }
  await shop.fail("alice", "Tickets for Saturday", "printer press-2: no paper in tray 2");
  await shop.fail("carol", "Badges", "printer press-1: the ink is dry");
  await signIn(page, await herald.linkFor("root", "admin"));

  await page.goto(`http://${herald.address}/support`);
  const failed = page.getByRole("listitem").filter({ hasText: "no paper in tray 2" }).first();
  await expect(failed).toBeVisible();
  await shoot(page, "support");
  await failed.getByRole("button").first().click();
  await expect(failed.getByText("What became of it")).toBeVisible();
  await failed.getByRole("button", { name: "Explain" }).click();
  await expect(failed.getByText(/was (not )?sent it\./)).toBeVisible();
  await failed.scrollIntoViewIfNeeded();
  await shoot(page, "support-event");
  await page.goto(`http://${herald.address}/support/connections`);
  await expect(page.getByRole("listitem").filter({ hasText: "alice" })).toBeVisible();
  await shoot(page, "support-connections");

  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(`http://${herald.address}/support/live`);
  await expect(page.locator("[data-tail=live]")).toBeVisible();
  await expect(page.getByRole("listitem").first()).toBeVisible();
  await shop.tell("bob", "notification.payment", {
    payment_id: "p-2",
    status: "failed",
    amount: "9.50",
    currency: "EUR",
  });
  await expect(page.getByRole("listitem").first().getByRole("link", { name: "bob" })).toBeVisible();
  await shoot(page, "support-live-dark");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`http://${herald.address}/support?problems=true`);
  await expect(page.getByRole("listitem").first()).toBeVisible();
  await shoot(page, "support-phone-dark");
});

test("the queue, light and dark, on a desk and on a phone", async ({ herald, page }, testInfo) => {
  await page.setViewportSize({ width: 1200, height: 860 });
  await page.emulateMedia({ reducedMotion: "reduce" });
  await signIn(page, herald.link);
  await page.getByLabel("Video files").setInputFiles(await writeNotes(testInfo.outputPath("notes.mp4")));
  await expect(card(page, "notes.mp4")).toHaveAttribute("data-state", "failed", { timeout: 60_000 });
  const running = await makeTestVideo(page, "1 min");
  await expect(running).toHaveAttribute("data-state", "running", { timeout: 60_000 });
  await signIn(page, await herald.linkFor("root", "admin"));
  await page.goto(`http://${herald.address}/support/queue`);
  const videos = page.getByRole("list", { name: "Entries, newest first" }).locator("> li").filter({ hasText: "Video" });
  await videos.filter({ hasText: "notes.mp4" }).getByRole("button").click();
  await expect(page.getByRole("region", { name: "Errors" })).toBeVisible();
  await shoot(page, "support-queue");
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "support-queue-dark");
  await page.setViewportSize({ width: 390, height: 844 });
  await shoot(page, "support-queue-phone", true);
});

test("support's pages of a job and of a user", async ({ herald, page, browser, request }) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  let hers = await pageOf(browser, herald, "alice");
  const done = await backend.begin("alice", "Invoices of February", { worker: "worker-1" });
  await backend.report(done, { state: "succeeded", result: {} });
  const id = await backend.begin("alice", "Import of March", { worker: "worker-1" });
  const steps = (from: number, to: number, rows: number) =>
    Array.from({ length: 12 }, (_, i) => {
      const progress = from + ((to - from) * (i + 1)) / 12;
      return { progress, processed: Math.round(progress * rows), total: rows, unit: "rows" };
    });
  for (const report of steps(0, 0.6, 48_000)) await backend.report(id, report);
  const error = "The importer ended with status 1.\nreading part-0007.csv\nreading part-0008.csv: no such file";
  await backend.report(id, { state: "retrying", error, retry_at: new Date().toISOString() });
  await expect(card(hers, "Import of March")).toContainText("Attempt 1 of 3 failed");
  const presence = () => backend.get<{ online: boolean }>("users/alice/presence");
  await expect.poll(async () => (await presence()).online).toBe(true);
  await hers.close();
  await expect.poll(async () => (await presence()).online).toBe(false);
  await backend.claim(id, { worker: "worker-2" });
  for (const report of steps(0, 0.83, 48_000)) await backend.report(id, { attempt: 2, ...report });
  const seqs = await backend.seqs(id, 28);
  hers = await pageOf(browser, herald, "alice");
  await backend.report(id, { attempt: 2, message: "Writing the index" });
  await expect(hers.getByText("Writing the index")).toBeVisible();
  await backend.report(id, { attempt: 2, state: "succeeded", result: {} });
  await expect(card(hers, "Import of March")).toHaveAttribute("data-state", "succeeded");

  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ reducedMotion: "reduce" });
  await signIn(page, await herald.linkFor("sue", "support"));
  const at = (path: string) => page.goto(`http://${herald.address}/support/${path}`);
  await at(`jobs/${id}`);
  await expect(page.getByText("Follows as it goes")).toBeVisible();
  await shoot(page, "support-job");
  await at(`jobs/${id}?open=${String(seqs[14])}`);
  await expect(page.getByRole("region", { name: "What became of it" })).toContainText("alice");
  await shoot(page, "support-job-event", true);
  await at("users/alice");
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  await expect(page.getByRole("list", { name: "Told" })).toBeVisible();
  await shoot(page, "support-user");
  await at(`users/alice/then?span=10m&truth=1&at=${String(seqs[24])}`);
  await expect(page.getByRole("article", { name: "Import of March" })).toHaveCount(2);
  await shoot(page, "support-then");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.reload();
  await expect(page.getByRole("article", { name: "Import of March" })).toHaveCount(2);
  await shoot(page, "support-then-phone", true);
});

test("a job's own page: one that runs elsewhere, and an export", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  const demo = await Caller.create(herald, request, "demo", "user");
  await page.setViewportSize({ width: 1200, height: 900 });
  await signIn(page, herald.link);
  await page.emulateMedia({ reducedMotion: "reduce" });
  const steps = [
    { name: "fetch", weight: 10 },
    { name: "check", weight: 10 },
    { name: "write_rows", weight: 70 },
    { name: "index", weight: 10 },
  ];
  const id = await worker.begin("demo", "Import of orders", {
    worker: "host-7",
    steps,
    args: { file: "orders.csv" },
  });
  await page.goto(`http://${herald.address}/jobs/${id}`);
  const head = page.getByRole("article").first();
  /** Says how far it is each time that the page's clock has moved on. */
  const report = async (attempt: number, rows: number) => {
    const said = { processed: rows, total: 900, unit: "rows", message: `order ${String(7000 + rows)}` };
    await worker.report(id, { attempt, step_progress: rows / 900, ...said });
    await expect(head).toContainText(`${String(rows)} of 900 rows`);
    const before = await head.locator("[aria-current=step]").textContent();
    await expect(head.locator("[aria-current=step]")).not.toHaveText(before ?? "");
  };
  const begin = (attempt: number) =>
    worker.report(id, ...["fetch", "check", "write_rows"].map((step) => ({ attempt, step })));
  await begin(1);
  for (const rows of [90, 150, 180]) await report(1, rows);
  const retry_at = new Date(Date.now() + 30_000).toISOString();
  await worker.report(id, {
    attempt: 1,
    state: "retrying",
    error: "write to db-2: connection reset by peer",
    retry_at,
  });
  await worker.claim(id, { worker: "host-8", steps });
  await begin(2);
  for (const rows of [60, 150, 230, 290, 340, 412, 470, 530]) await report(2, rows);
  await shoot(page, "job-attempts", true);
  await page.setViewportSize({ width: 360, height: 780 });
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "job-phone", true);

  await page.setViewportSize({ width: 1200, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
  const exported = await demo.start({ kind: "export", title: "What happened today", args: { dataset: "events" } });
  await page.goto(`http://${herald.address}/jobs/${exported}`);
  await expect(page.getByRole("region", { name: "The first rows" })).toBeVisible();
  await shoot(page, "job-export", true);
});

test("the reference of the API", async ({ herald, page }) => {
  await page.setViewportSize({ width: 1200, height: 760 });
  await page.goto(`http://${herald.address}/docs#/operations/start-job`);
  await expect(page.getByRole("heading", { level: 1, name: "Start a job" })).toBeVisible();
  await page.screenshot({ path: `${folder}docs.png` });
  await page.goto(`http://${herald.address}/docs/events#job.progress`);
  await expect(page.getByRole("heading", { name: "job.progress" })).toBeInViewport();
  await page.screenshot({ path: `${folder}docs-events.png` });
});

test("the developer's page, on a desk and on a phone", async ({ herald, page }) => {
  await page.setViewportSize({ width: 1200, height: 900 });
  await signIn(page, herald.devLink);
  await page.emulateMedia({ reducedMotion: "reduce" });
  const go = (part: string) => page.getByRole("navigation").getByRole("link", { name: part }).click();
  await page.getByLabel("Type").selectOption("notification.payment");
  await expect(async () => {
    await page.getByRole("button", { name: "Whom would it reach?" }).click();
    await expect(page.getByText("It would reach 1 connection of 1 user.")).toBeVisible({ timeout: 1000 });
  }).toPass();
  await shoot(page, "dev-publish", true);

  await go("Webhooks");
  await page.getByRole("button", { name: "Sign and send" }).click();
  await expect(page.getByText("Taken, and published.")).toBeVisible();
  await page.getByText("By somebody else").click();
  await page.getByRole("button", { name: "Sign and send" }).click();
  await expect(page.getByText("Refused.")).toBeVisible();
  await shoot(page, "dev-webhooks", true);

  await go("Raw stream");
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await go("Load");
  await page.getByRole("slider", { name: "Jobs a second" }).fill("40");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByText("Stall", { exact: true })).toBeVisible();
  await expect
    .poll(() => page.locator("[aria-label='The newest demo jobs'] li").count(), { timeout: 60_000 })
    .toBeGreaterThan(6);
  await shoot(page, "dev-load");
  await go("Raw stream");
  await shoot(page, "dev-stream");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "dark" });
  await go("Load");
  await shoot(page, "dev-phone-dark");
});

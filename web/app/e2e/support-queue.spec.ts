import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { test } from "./herald";
import { expectBadge, makeTestVideo, signIn, writeNotes } from "./page";

const entries = (page: Page) => page.getByRole("list", { name: "Entries, newest first" }).locator("> li");
const queues = (page: Page) => page.getByRole("list", { name: "Queues", exact: true }).locator("> li");

/** Demo starts a video that runs for a while. */
async function startVideo(page: Page): Promise<void> {
  const running = await makeTestVideo(page, "1 min");
  await expect(running).toHaveAttribute("data-state", "running", { timeout: 60_000 });
}

test("an admin watches the queue, and finds a job in it by its state", async ({ herald, page, browser }, testInfo) => {
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  await signIn(page, await herald.linkFor("root", "admin"));
  await page.getByRole("link", { name: "Support", exact: true }).click();
  await page.getByRole("navigation", { name: "Support" }).getByRole("link", { name: "Queue" }).click();
  const demo = await (await browser.newContext()).newPage();
  await signIn(demo, herald.link);

  // What fails shows by itself, and its number leads to it.
  await demo.getByLabel("Video files").setInputFiles(await writeNotes(testInfo.outputPath("notes.mp4")));
  const videos = queues(page).filter({ has: page.getByRole("link", { name: "default", exact: true }) });
  await videos.getByRole("link", { name: /^1\s*Cancelled$/ }).click({ timeout: 60_000 });
  await expect(page).toHaveURL(/\/support\/queue\?state=cancelled&queue=default$/);
  await expect(entries(page)).toHaveCount(1);
  const failed = entries(page).filter({ hasText: "notes.mp4" });
  await failed.getByRole("button", { expanded: false }).focus();
  await page.keyboard.press("Enter");
  await expect(failed.getByRole("region", { name: "Errors" })).toContainText("Attempt 1");
  await expect(page).toHaveURL(/&open=\d+$/);
  const link = page.url();

  await startVideo(demo);
  await videos.getByRole("link", { name: /^1\s*Running$/ }).click();
  await expect(entries(page)).toHaveCount(1);
  await expect(entries(page).first()).toContainText(/Running for .* on /);
  await expect(page.getByRole("region", { name: "Nodes" })).toContainText("leads, 1 running");
  await page.goBack();
  await expect(page).toHaveURL(link);
  await expect(failed.getByRole("region", { name: "Errors" })).toBeVisible();

  // An entry that is not in the list stands above it.
  await page.goto(link.replace("state=cancelled", "state=discarded"));
  await expect(page.getByText("No such entries")).toBeVisible();
  await page
    .getByRole("region", { name: /^Entry \d+$/ })
    .getByRole("link", { name: /^The job’s page/ })
    .click();
  await expect(page.getByRole("heading", { level: 1, name: "notes.mp4" })).toBeVisible();
  expect(said).toEqual([]);
});

test("support is told that the queue is for admins", async ({ herald, page }) => {
  await signIn(page, await herald.linkFor("sue", "support"));
  await page.goto(`http://${herald.address}/support/queue`);
  await expect(page.getByRole("heading", { name: "The queue is for admins" })).toBeVisible();
  await expect(page.getByRole("navigation", { name: "Support" }).getByRole("link", { name: "Queue" })).toHaveCount(0);
});

test("the queue has no barrier that axe finds, light or dark, and fits a phone", async ({ herald, page }) => {
  await signIn(page, herald.link);
  await startVideo(page);
  await signIn(page, await herald.linkFor("root", "admin"));
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const [colorScheme, width] of [
    ["light", 1200],
    ["dark", 1200],
    ["light", 360],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await page.goto(`http://${herald.address}/support/queue?kind=video`);
    await expectBadge(page, "Live");
    await entries(page).first().getByRole("button").click();
    await expect(entries(page).first().getByText("River’s attempt")).toBeVisible();
    await page.getByRole("button", { name: "Any state" }).click();
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wide, "the page is too wide by").toBeLessThanOrEqual(0);
  }
});

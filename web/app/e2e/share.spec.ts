import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { test } from "./herald";
import { card, expectBadge, makeTestVideo, signIn } from "./page";

/** Opens the job's page, makes a link to it, and returns the link. */
async function share(page: Page, title: string, files: boolean): Promise<string> {
  await card(page, title).getByRole("link").first().click();
  await page.getByRole("button", { name: "Share" }).click();
  const dialog = page.getByRole("dialog", { name: "Share this job" });
  await dialog.getByText("1 day").click();
  if (files) await dialog.getByRole("checkbox").check();
  await dialog.getByRole("button", { name: "Make a link" }).click();
  const link = await dialog.getByRole("textbox", { name: "Link" }).inputValue();
  expect(link).toContain("/shared/");
  return link;
}

async function expectNoBarrier(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
}

test("somebody without an account watches a shared job to its end, until the link is revoked", async ({
  herald,
  page,
  browser,
}) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await signIn(page, herald.link);
  await makeTestVideo(page, "20 s");
  const link = await share(page, "Test video, 20 s", true);
  await expectNoBarrier(page);

  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, reducedMotion: "reduce" });
  const guest = await context.newPage();
  const asked: string[] = [];
  guest.on("request", (request) => asked.push(request.url()));
  await guest.goto(link);
  await expectBadge(guest, "Live");
  await expect(guest.getByText(/^Shared by/)).toContainText("until");
  const job = card(guest, "Test video, 20 s");
  await expect(job).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
  await expect(guest.getByRole("region", { name: "What happened" })).toContainText("succeeded");
  await expect(guest.getByRole("button", { name: /Cancel|Retry|Delete|Share/ })).toHaveCount(0);
  await expect(guest.getByRole("link", { name: "All jobs" })).toHaveCount(0);
  const video = job.locator("video");
  await video.evaluate((v: HTMLVideoElement) => {
    v.muted = true;
    return v.play();
  });
  await expect.poll(() => video.evaluate((v: HTMLVideoElement) => v.currentTime)).toBeGreaterThan(0.5);
  const secret = new URL(link).hash.slice(1);
  expect(asked.filter((url) => new URL(url).href.split("#", 1).join().includes(secret))).toEqual([]);
  expect(await context.cookies()).toEqual([]);
  expect(await guest.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  for (const colorScheme of ["light", "dark"] as const) {
    await guest.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expectNoBarrier(guest);
  }

  const dialog = page.getByRole("dialog", { name: "Share this job" });
  await dialog.getByRole("button", { name: /^Revoke/ }).click();
  await expect(dialog.getByRole("button", { name: /^Revoke/ })).toHaveCount(0);
  await expect(guest.getByRole("heading", { name: "This link was revoked" })).toBeVisible({ timeout: 15_000 });
  await expectNoBarrier(guest);
  await guest.reload();
  await expect(guest.getByRole("heading", { name: "This link was revoked" })).toBeVisible();
  await guest.goto(`${link.slice(0, -1)}!`);
  await guest.reload();
  await expect(guest.getByRole("heading", { name: "This link leads nowhere" })).toBeVisible();
  await context.close();
});

import { fileURLToPath } from "node:url";
import { expect, type Page } from "@playwright/test";
import { test } from "./herald";
import { card, expectBadge, makeTestVideo, signIn, writeNotes } from "./page";

const folder = fileURLToPath(new URL("../../../docs/screens/", import.meta.url));

async function shoot(page: Page, name: string, fullPage = false): Promise<void> {
  await expectBadge(page, "Live");
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
  await expect(running.getByRole("progressbar").first()).toHaveAttribute("aria-valuenow", /^[3-9]\d/);
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

  await page.getByRole("button", { name: "Share" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("checkbox").check();
  await dialog.getByRole("button", { name: "Make a link" }).click();
  const link = await dialog.getByRole("textbox", { name: "Link" }).inputValue();
  await shoot(page, "share");
  await page.goto(link);
  await expect(page.getByText("Finished")).toBeVisible();
  await shoot(page, "shared", true);
});

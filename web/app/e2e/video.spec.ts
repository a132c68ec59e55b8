import { execFileSync } from "node:child_process";
import { expect } from "@playwright/test";
import { test } from "./herald";
import { card, dropFile, expectBadge, expectPlays, makeTestVideo, signIn, watchBar, writeNotes } from "./page";

test("a test video is made, its bar moves and never back, and it plays", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const bar = await watchBar(page);
  const made = await makeTestVideo(page, "20 s");
  await expect(page).toHaveTitle(/^\d+\s% · Test video/);
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
  const percents = (await bar()).map((s) => s.percent);
  expect(percents.length).toBeGreaterThanOrEqual(5);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  await expectPlays(made);
  await expect(page).toHaveTitle("Herald");
});

test("the page outlives a crash of the whole program, and reaches the end untouched", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const bar = await watchBar(page);
  const made = await makeTestVideo(page, "1 min");
  await expect.poll(async () => (await bar()).at(-1)?.percent ?? 0, { timeout: 60_000 }).toBeGreaterThan(25);

  await herald.end("SIGKILL");
  await expect.poll(() => herald.processes(), { timeout: 5000 }).toEqual([]);
  await expectBadge(page, /^(Reconnecting|Offline)$/);
  await herald.start();
  await expectBadge(page, "Live");
  await expect(made).toContainText(/attempt 2/i);
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });

  const seen = await bar();
  expect(new Set(seen.map((s) => s.attempt))).toEqual(new Set([1, 2]));
  for (const attempt of [1, 2]) {
    const percents = seen.filter((s) => s.attempt === attempt).map((s) => s.percent);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
  }
  await expectPlays(made);
});

test("a stop hands the job back to the queue, and the next start goes on", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const made = await makeTestVideo(page, "20 s");
  await expect(made).toHaveAttribute("data-state", "running");
  await herald.end("SIGTERM");
  expect(await herald.processes()).toEqual([]);
  await herald.start();
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
});

test("a reload in the middle shows the same job, further on", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const made = await makeTestVideo(page, "20 s");
  await expect(made).toHaveAttribute("data-state", "running");
  await page.reload();
  await expectBadge(page, "Live");
  await expect(made).toHaveAttribute("data-state", /running|succeeded/);
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
  await page.reload();
  await expect(made).toHaveAttribute("data-state", "succeeded");
});

test("a dropped file is uploaded, processed and played", async ({ herald, page }, testInfo) => {
  const file = testInfo.outputPath("Urlaub am Meer.mov");
  execFileSync("ffmpeg", [
    ...["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15:duration=4"],
    ...["-f", "lavfi", "-i", "sine=duration=4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", file],
  ]);
  await signIn(page, herald.link);
  await page.getByText("HLS", { exact: true }).click();
  await dropFile(page, file);
  const made = card(page, "Urlaub am Meer.mov");
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
  await expectPlays(made);
});

test("a file that is no video fails, and the page says what ffprobe said", async ({ herald, page }, testInfo) => {
  await signIn(page, herald.link);
  await page.getByLabel("Video files").setInputFiles(await writeNotes(testInfo.outputPath("notes.mp4")));
  const failed = card(page, "notes.mp4");
  await expect(failed).toHaveAttribute("data-state", "failed", { timeout: 30_000 });
  await expect(failed).toContainText("Invalid data found when processing input");
});

test("a job is cancelled at once, and can be tried again", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const made = await makeTestVideo(page, "5 min");
  await expect(made).toHaveAttribute("data-state", "running");
  await made.getByRole("button", { name: /^Cancel/ }).click();
  await expect(made).toHaveAttribute("data-state", "cancelled", { timeout: 3000 });
  await made.getByRole("button", { name: /^Retry/ }).click();
  await expect(made).toHaveAttribute("data-state", "running");
  await expect(made).toContainText(/attempt 2/i);
});

test("a part of a video is taken, and the pointer leafs through it", async ({ herald, page }) => {
  await signIn(page, herald.link);
  await page.getByText("More options").click();
  await page.getByLabel("From").fill("1");
  await page.getByLabel("To", { exact: true }).fill("0:00");
  await expect(page.getByRole("alert")).toContainText("later than the start");
  await page.getByLabel("To", { exact: true }).fill("0:03");
  await page.getByLabel("Frames a second").fill("10");
  await page.getByText("Smaller file").click();
  const made = await makeTestVideo(page, "5 s");
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 90_000 });
  await expect(made.locator("video")).toHaveJSProperty("duration", 2);
  const strip = made.locator("figure [aria-hidden]").first();
  await strip.hover();
  await expect(strip).toContainText("0:01");
});

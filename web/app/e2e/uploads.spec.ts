import { createHash, randomBytes } from "node:crypto";
import { readFile, truncate, writeFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { expect } from "@playwright/test";
import { type Herald, test } from "./herald";
import { card, dropFiles, expectBadge, signIn, writeNotes } from "./page";

const mb = 1_000_000;

/** Writes a file that is no video, as large as it has to be for something to happen on its way. */
async function writeNoise(path: string, size: number): Promise<string> {
  await writeFile(path, randomBytes(size));
  return path;
}

/** The browser's line, which can be made slow, so that there is a middle to do something in, and cut. */
async function lineOf(page: Page, perSecond: number): Promise<{ cut(offline: boolean): Promise<void> }> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const cut = async (offline: boolean) => {
    await session.send("Network.emulateNetworkConditions", {
      ...{ offline, latency: 0, downloadThroughput: -1, uploadThroughput: perSecond },
    });
  };
  await cut(false);
  return { cut };
}

/** Notes from where each piece is sent. */
function watchPieces(page: Page): number[] {
  const offsets: number[] = [];
  page.on("request", (request) => {
    if (request.method() === "PATCH") offsets.push(Number(request.headers()["upload-offset"]));
  });
  return offsets;
}

function row(page: Page, state: string) {
  return page.locator(`[data-upload="${state}"]`);
}

/** Waits until so much of the one upload is there. */
async function expectPercent(page: Page, least: number): Promise<void> {
  const bar = page.getByRole("progressbar", { name: /^Upload of/ });
  await expect
    .poll(async () => Number(await bar.getAttribute("aria-valuenow")), { timeout: 60_000 })
    .toBeGreaterThanOrEqual(least);
}

/** Expects the file to have become the input of a job, every byte of it. */
async function expectArrived(page: Page, herald: Herald, title: string, path: string): Promise<void> {
  const made = card(page, title);
  await expect(made).toBeVisible({ timeout: 90_000 });
  const id = (await made.getByRole("link").first().getAttribute("href"))?.split("/").pop() ?? "";
  const job = (await (await page.request.get(`http://${herald.address}/api/jobs/${id}`)).json()) as {
    args: { source: { upload: string } };
  };
  const upload = (await (
    await page.request.get(`http://${herald.address}/api/uploads/${job.args.source.upload}`)
  ).json()) as { artifact: { sha256: string } };
  expect(upload.artifact.sha256).toBe(
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex"),
  );
  await expect(page.getByRole("article", { name: title })).toHaveCount(1);
  await expect(page.locator("[data-upload]")).toHaveCount(0);
}

test("several files are dropped, and each becomes a job", async ({ herald, page }, testInfo) => {
  await signIn(page, herald.link);
  const names = ["one.mp4", "two.mp4", "three.mp4"];
  await dropFiles(page, await Promise.all(names.map((name) => writeNotes(testInfo.outputPath(name)))));
  for (const name of names) await expect(card(page, name)).toBeVisible();
});

test("an upload goes on where it was when the network is back", async ({ herald, page }, testInfo) => {
  const path = await writeNoise(testInfo.outputPath("film.mov"), 6 * mb);
  await signIn(page, herald.link);
  const offsets = watchPieces(page);
  const line = await lineOf(page, mb);
  await page.getByLabel("Video files").setInputFiles(path);
  await expectPercent(page, 30);
  await line.cut(true);
  await expect(row(page, "paused")).toContainText("goes on by itself");
  await line.cut(false);
  await expectArrived(page, herald, "film.mov", path);
  expect(offsets.filter((offset) => offset === 0)).toHaveLength(1);
});

test("an upload outlives a crash of the server in its middle", async ({ herald, page }, testInfo) => {
  const path = await writeNoise(testInfo.outputPath("film.mov"), 30 * mb);
  await signIn(page, herald.link);
  const offsets = watchPieces(page);
  await lineOf(page, 4 * mb);
  await page.getByLabel("Video files").setInputFiles(path);
  await expectPercent(page, 65);
  await herald.end("SIGKILL");
  await expect(row(page, "paused")).toBeVisible();
  await herald.start();
  await expectArrived(page, herald, "film.mov", path);
  // What was whole on the disk was not sent again.
  expect(offsets.filter((offset) => offset === 0)).toHaveLength(1);
  expect(Math.min(...offsets.slice(1))).toBe(16 * 2 ** 20);
});

test("an upload goes on by itself on a page that is loaded anew", async ({ herald, page }, testInfo) => {
  const path = await writeNoise(testInfo.outputPath("film.mov"), 6 * mb);
  await signIn(page, herald.link);
  const offsets = watchPieces(page);
  await lineOf(page, mb);
  await page.getByText("GIF", { exact: true }).click();
  await page.getByLabel("Video files").setInputFiles(path);
  await expectPercent(page, 40);
  await page.reload();
  await expectBadge(page, "Live");
  await expectArrived(page, herald, "film.mov", path);
  expect(offsets.at(-1)).toBeGreaterThan(0);
  await expect(card(page, "film.mov")).toContainText("GIF");
});

test("a large file whose page is closed before it has a job gets one when the page is there again", async ({
  herald,
  page,
  context,
}, testInfo) => {
  const path = await writeNotes(testInfo.outputPath("film.mov"));
  await truncate(path, 201 * mb); // more than is kept in the browser
  test.slow(); // it has to go all the way
  await page.addInitScript(() => {
    const ask = window.fetch.bind(window);
    window.fetch = (to, init) =>
      to === "/api/jobs" && init?.method === "POST" ? new Promise(() => undefined) : ask(to, init);
  });
  await signIn(page, herald.link);
  await page.getByLabel("Video files").setInputFiles(path);
  await expect(row(page, "starting")).toBeVisible({ timeout: 240_000 });
  await page.close();
  const again = await context.newPage();
  await again.goto(`http://${herald.address}/`);
  await expectArrived(again, herald, "film.mov", path);
});

test("an upload that is cancelled is gone, here and there", async ({ herald, page }, testInfo) => {
  const path = await writeNoise(testInfo.outputPath("film.mov"), 6 * mb);
  await signIn(page, herald.link);
  await lineOf(page, mb / 2);
  await page.getByLabel("Video files").setInputFiles(path);
  await expectPercent(page, 10);
  await page.getByRole("button", { name: "Cancel the upload of film.mov" }).click();
  await expect(page.locator("[data-upload]")).toHaveCount(0);
  const unfinished = async () =>
    ((await (await page.request.get(`http://${herald.address}/api/uploads`)).json()) as { uploads: unknown[] }).uploads;
  await expect.poll(unfinished).toEqual([]);
  await page.reload();
  await expectBadge(page, "Live");
  await expect(page.locator("[data-upload]")).toHaveCount(0);
});

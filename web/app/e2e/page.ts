import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Browser, expect, type Locator, type Page } from "@playwright/test";
import type { Herald } from "./herald";

/** The card of the job with the title. */
export function card(page: Page, title: string | RegExp): Locator {
  return page.getByRole("article", { name: title });
}

/** Waits until the badge says so. */
export async function expectBadge(page: Page, words: string | RegExp): Promise<void> {
  await expect(page.getByText(words, { exact: true }).first()).toBeVisible();
}

/** Signs in by the link and waits until the page is live. */
export async function signIn(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await expectBadge(page, "Live");
  expect(page.url()).not.toContain("token");
}

/** A page of its own for somebody. */
export async function pageOf(browser: Browser, herald: Herald, user: string, role = "user"): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await signIn(page, await herald.linkFor(user, role));
  return page;
}

/** Starts a job on a test video of the length, as its button is labelled. */
export async function makeTestVideo(page: Page, length: string): Promise<Locator> {
  await page.getByText(length, { exact: true }).click();
  await page.getByRole("button", { name: "Make a test video" }).click();
  const made = card(page, `Test video, ${length}`);
  await expect(made).toBeVisible();
  return made;
}

/** Drops a file on the page, as from a file manager. */
export async function dropFile(page: Page, path: string): Promise<void> {
  await dropFiles(page, [path]);
}

/** Drops several at once. */
export async function dropFiles(page: Page, paths: readonly string[]): Promise<void> {
  const files = await Promise.all(
    paths.map(async (path) => ({ base64: (await readFile(path)).toString("base64"), name: basename(path) })),
  );
  const dataTransfer = await page.evaluateHandle((files) => {
    const transfer = new DataTransfer();
    for (const { base64, name } of files) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      transfer.items.add(new File([bytes], name, { type: "video/quicktime" }));
    }
    return transfer;
  }, files);
  for (const type of ["dragenter", "dragover"]) await page.dispatchEvent("main", type, { dataTransfer });
  await expect(page.getByText(/^Drop to convert/)).toBeVisible();
  await page.dispatchEvent("main", "drop", { dataTransfer });
}

/** Writes a file that is no video, whatever its name says. */
export async function writeNotes(path: string): Promise<string> {
  await writeFile(path, "These are my notes.\n".repeat(100));
  return path;
}

/** Notes in the page itself how a card's bar moves, and which attempt it shows. */
export async function watchBar(page: Page): Promise<() => Promise<{ attempt: number; percent: number }[]>> {
  await page.evaluate(() => {
    const seen: { attempt: number; percent: number }[] = [];
    (window as unknown as { seen: typeof seen }).seen = seen;
    const look = () => {
      const bar = document.querySelector("article [role=progressbar]");
      const now = bar?.getAttribute("aria-valuenow");
      if (now === null || now === undefined) return;
      const attempt = Number(bar?.closest("article")?.dataset["attempt"]);
      if (attempt === 0) return; // it waits, at nothing
      const last = seen.at(-1);
      if (last?.percent !== Number(now) || last.attempt !== attempt) seen.push({ attempt, percent: Number(now) });
    };
    new MutationObserver(look).observe(document.body, {
      subtree: true,
      childList: true,
      attributes: true,
      characterData: true,
    });
  });
  return () => page.evaluate(() => (window as unknown as { seen: { attempt: number; percent: number }[] }).seen);
}

/** Plays the result of the last job under way, whose player opens by itself, and expects its time to move. */
export async function expectPlays(of: Locator): Promise<void> {
  const video = of.locator("video");
  await expect(video).toBeVisible();
  await video.evaluate((v: HTMLVideoElement) => {
    v.muted = true;
    return v.play();
  });
  await expect.poll(() => video.evaluate((v: HTMLVideoElement) => v.currentTime)).toBeGreaterThan(0.5);
  expect(await video.evaluate((v: HTMLVideoElement) => v.videoWidth)).toBeGreaterThan(0);
}

import { setTimeout as sleep } from "node:timers/promises";
import { expect, type Page } from "@playwright/test";
import { Caller } from "../e2e/caller";
import { test } from "../e2e/herald";
import { signIn } from "../e2e/page";
import { ms, percent, show } from "./figures";
import { framePeriod, watchFrames } from "./frames";

/** How often the wheel turns by a step, and for how long, in milliseconds. */
const [every, forMs] = [16, 9000];

test("a list of 10,000 events, scrolled by the wheel", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  for (let j = 0; j < 10; j++) {
    const job = await worker.begin("demo", `Import ${String(j)}`);
    for (let i = 0; i < 1000; i += 100) {
      await worker.report(
        job,
        ...Array.from({ length: 100 }, (_, n) => ({ message: `Row ${String(i + n)} of 1,000 is in` })),
      );
    }
  }
  await signIn(page, await herald.linkFor("sue", "support"));
  await page.goto(`http://${herald.address}/support?type=job.message`);
  await readAll(page);
  const period = await framePeriod(page);
  const rows: [string, string, string][] = [];
  for (const [how, step] of [
    ["a hand's pace", 80],
    ["thrown", 800],
  ] as const) {
    await page.evaluate(() => {
      window.scrollTo(0, 0);
    });
    await sleep(1000);
    const blank = await watchRows(page);
    const frames = await watchFrames(page, period);
    const went = await turn(page, step);
    const { dropped, long, longestGap } = await frames();
    rows.push(
      [`${how}: pixels a second`, ((1000 * went) / forMs).toFixed(0), ""],
      ["  frames dropped", percent(dropped), "≤ 2 %"],
      ["  tasks over 50 ms", `${String(long.length)}, the longest ${ms(Math.max(0, ...long))}`, "none"],
      ["  the longest gap between frames", ms(longestGap), ""],
      ["  frames with no row where one is due", percent(await blank()), ""],
    );
  }
  show("10,000 events in a list", [["a frame at rest", ms(period), ""], ...rows]);
});

/** Has the list read all it shows, which it does as one comes to its end. */
async function readAll(page: Page): Promise<void> {
  await expect(async () => {
    await page.evaluate(() => {
      window.scrollTo(0, document.documentElement.scrollHeight);
    });
    await expect(page.getByText(/^10,000 events/)).toBeVisible({ timeout: 500 });
  }).toPass({ timeout: 120_000, intervals: [100] });
}

/** Turns the wheel, and resolves to how far the page has gone. */
async function turn(page: Page, step: number): Promise<number> {
  await page.mouse.move(600, 450);
  const began = Date.now();
  for (let turns = 1; Date.now() - began < forMs; turns++) {
    await page.mouse.wheel(0, step);
    await sleep(Math.max(0, began + turns * every - Date.now()));
  }
  return page.evaluate(() => window.scrollY);
}

/** Watches whether each frame has a row in the middle of the window; tells of the share that had none. */
async function watchRows(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const notes = window as unknown as { rows: { frames: number; without: number } };
    const rows = (notes.rows = { frames: 0, without: 0 });
    const look = () => {
      rows.frames++;
      for (const share of [0.2, 0.5, 0.9]) {
        const at = document.elementFromPoint(innerWidth / 2, innerHeight * share);
        if (at?.tagName !== "UL") continue; // the list itself shows where it has no row
        rows.without++;
        break;
      }
      if (notes.rows === rows) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  return () =>
    page.evaluate(() => {
      const notes = window as unknown as { rows: { frames: number; without: number } | undefined };
      const { frames = 1, without = 0 } = notes.rows ?? {};
      notes.rows = undefined;
      return without / frames;
    });
}

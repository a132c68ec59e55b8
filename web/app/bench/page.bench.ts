import { setTimeout as sleep } from "node:timers/promises";
import { expect, type Page } from "@playwright/test";
import { test } from "../e2e/herald";
import { card, signIn } from "../e2e/page";
import { ms, quantile, show } from "./figures";
import { Gate } from "../e2e/gate";
import { Caller } from "../e2e/caller";

/** What the page's window keeps for a measurement. */
interface Notes {
  painted: Map<string, number>;
  long: number[];
  frames: number[];
}

/** Notes when each text that matches has been painted for the first time, by the system's clock. */
async function notePaints(page: Page, pattern: string): Promise<() => Promise<Map<string, number>>> {
  await page.evaluate((pattern) => {
    const painted = new Map<string, number>();
    (window as unknown as Notes).painted = painted;
    const afterPaint = (then: () => void) => {
      const { port1, port2 } = new MessageChannel(); // its task comes after the frame that is being made
      port1.onmessage = then;
      port2.postMessage(null);
    };
    // What changes within a frame's callbacks is painted with it; anything else, with the next.
    let inFrame = false;
    const request = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (callback) =>
      request((time) => {
        inFrame = true;
        afterPaint(() => (inFrame = false));
        callback(time);
      });
    const wanted = new RegExp(pattern, "g");
    const look = () => {
      const found = (document.body.textContent.match(wanted) ?? []).filter((text) => !painted.has(text));
      for (const text of found) painted.set(text, NaN);
      const note = () => {
        for (const text of found) painted.set(text, performance.timeOrigin + performance.now());
      };
      if (found.length === 0) return;
      if (inFrame) afterPaint(note);
      else
        request(() => {
          afterPaint(note);
        });
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  }, pattern);
  return async () => new Map(await page.evaluate(() => [...(window as unknown as Notes).painted]));
}

/** A page that does nothing but show what comes: what no page can do better. */
const barePage = `<!doctype html><title>bare</title><ul></ul><script>
const stream = new EventSource("/api/sse");
const show = (e) => { document.querySelector("ul").textContent = JSON.parse(e.data).data.message; };
for (const type of ["job.message", "job.progress"]) stream.addEventListener(type, show);
</script>`;

test("how soon an event of the log is painted", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  const support = await Caller.create(herald, request, "sue", "support");
  const measure = async (job: string, name: string) => {
    const painted = await notePaints(page, `${name} \\d+ of it`);
    for (let i = 0; i < 300; i++) {
      await worker.report(job, { message: `${name} ${String(i)} of it` });
      await sleep(40 + Math.random() * 60);
    }
    await expect(page.getByText(`${name} 299 of it`).first()).toBeVisible();
    const recorded = recordedIn(await support.text(`events?job=${job}&format=ndjson`));
    const took = [...(await painted())].map(([text, at]) => at - (recorded.get(text) ?? NaN));
    return took.filter((t) => !Number.isNaN(t));
  };
  await signIn(page, herald.link);
  const user = await whoAmI(page);
  const job = await worker.begin(user, "Measured");
  await expect(card(page, "Measured")).toBeVisible();
  const herald_ = await measure(job, "herald");
  await page.route("**/bare", (route) => route.fulfill({ contentType: "text/html", body: barePage }));
  await page.goto(`http://${herald.address}/bare`);
  await sleep(1000);
  const bare = await measure(await worker.begin(user, "Measured bare"), "bare");
  show("An event in the log → painted", [
    [`p50 of ${String(herald_.length)}`, ms(quantile(herald_, 0.5)), "≤ 30 ms"],
    ["p99", ms(quantile(herald_, 0.99)), "≤ 100 ms"],
    [`bare page: p50 of ${String(bare.length)}`, ms(quantile(bare, 0.5)), ""],
    ["bare page: p99", ms(quantile(bare, 0.99)), ""],
  ]);
});

test("a hundred jobs that move four times a second, for a minute", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  await signIn(page, herald.link);
  const user = await whoAmI(page);
  const jobs = await Promise.all(Array.from({ length: 100 }, (_, i) => worker.begin(user, `Job ${String(i)}`)));
  await showAll(page, 100);
  await sleep(2000);
  await page.evaluate(() => {
    const notes = window as unknown as Notes;
    notes.long = [];
    notes.frames = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) notes.long.push(entry.duration);
    }).observe({ type: "longtask" });
    const frame = (at: number) => {
      notes.frames.push(at);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const until = Date.now() + 60_000;
  let sent = 0;
  await Promise.all(
    jobs.map(async (job, i) => {
      await sleep(i * 2.5);
      for (let round = 0; Date.now() < until; round++) {
        const began = Date.now();
        await worker.report(job, { progress: Math.min(0.99, round / 260), message: `row ${String(round)}` });
        sent++;
        await sleep(Math.max(0, 250 - (Date.now() - began)));
      }
    }),
  );
  const { long, frames } = await page.evaluate(() => {
    const { long, frames } = window as unknown as Notes;
    return { long, frames };
  });
  const gaps = frames.slice(1).map((at, i) => at - (frames[i] ?? at));
  const period = quantile(gaps, 0.5);
  const dropped = gaps.reduce((sum, gap) => sum + Math.max(0, Math.round(gap / period) - 1), 0);
  show("100 jobs, a minute", [
    ["updates a second", (sent / 60).toFixed(0), "400 wanted"],
    ["tasks over 50 ms", `${String(long.length)}, the longest ${ms(Math.max(0, ...long))}`, "none"],
    ["frames dropped", `${((100 * dropped) / (frames.length + dropped)).toFixed(2)} %`, "≤ 2 %"],
    ["a frame", ms(period), ""],
  ]);
});

test("back from an hour offline, with 5,000 events missed", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  const gate = await Gate.to(herald.address);
  const took: number[] = [];
  try {
    await signIn(page, herald.link.replace(herald.address, gate.address));
    const user = await whoAmI(page);
    const jobs = await Promise.all(Array.from({ length: 50 }, (_, i) => worker.begin(user, `Job ${String(i)}`)));
    await showAll(page, 50);
    for (let round = 1; round <= 5; round++) {
      gate.shut();
      await Promise.all(
        jobs.map((job, j) =>
          worker.report(
            job,
            ...Array.from({ length: 100 }, (_, i) => ({
              message: i === 99 ? `back ${String(round)}.${String(j)} now` : `row ${String(i)}`,
            })),
          ),
        ),
      );
      const painted = await notePaints(page, `back ${String(round)}\\.\\d+ now`);
      const answered = page.waitForResponse("**/api/sse*", { timeout: 60_000 });
      gate.reopen();
      await page.evaluate(() => window.dispatchEvent(new Event("online")));
      const began = (await answered).request().timing().startTime;
      await expect(page.getByText(new RegExp(`back ${String(round)}\\.\\d+ now`))).toHaveCount(50, { timeout: 30_000 });
      await sleep(200);
      took.push(Math.max(...(await painted()).values()) - began);
    }
  } finally {
    await gate.end();
  }
  show("Offline, 5,000 missed → current", [
    [`median of ${String(took.length)}`, ms(quantile(took, 0.5)), "≤ 500 ms"],
    ["most", ms(Math.max(...took)), ""],
  ]);
});

/** When the log took each message, in milliseconds. */
function recordedIn(log: string): Map<string, number> {
  const events = log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { recorded_at: string; data: { message?: string } });
  // Date.parse keeps whole milliseconds; the log tells microseconds.
  const at = (time: string) => Date.parse(time) + Number(`0.${/\.\d{3}(\d+)/.exec(time)?.[1] ?? "0"}`);
  return new Map(events.map((e) => [e.data.message ?? "", at(e.recorded_at)]));
}

/** Has the list show so many jobs, which it does by and by. */
async function showAll(page: Page, count: number): Promise<void> {
  await expect(async () => {
    if ((await page.getByRole("article").count()) < count) {
      await page.getByRole("button", { name: "Show more" }).click({ timeout: 1000 });
    }
    await expect(page.getByRole("article")).toHaveCount(count, { timeout: 1000 });
  }).toPass();
}

async function whoAmI(page: Page): Promise<string> {
  const session: unknown = await page.evaluate(async (): Promise<unknown> => (await fetch("/api/session")).json());
  return (session as { user: string }).user;
}

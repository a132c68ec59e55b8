import { setTimeout as sleep } from "node:timers/promises";
import { type APIRequestContext, expect, type Page } from "@playwright/test";
import { Caller } from "../e2e/caller";
import { Gate } from "../e2e/gate";
import { type Herald, test } from "../e2e/herald";
import { card, signIn } from "../e2e/page";
import { ms, percent, quantile, show } from "./figures";
import { framePeriod, watchFrames } from "./frames";
import { shareOf, shareOfAll, ticks, type Ticks } from "./machine";
import { delaysOf, notePaints } from "./painted";
import { Sender } from "./sender";

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
    return delaysOf(await painted(), await support.text(`events?job=${job}&format=ndjson`));
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

const minute = 60_000;

// The processors of a reader's device are not the server's. Here they are the same ones: with its niceness, the server has
// what the page leaves; without, each of the two has its half.
for (const niceness of [10, 0]) {
  test.describe(`beside a server of niceness ${String(niceness)}`, () => {
    test.use({ niceness });
    test("a hundred jobs that move four times a second, for a minute", measureHundred);
  });
}

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

/** What the measuring of a page has to do with. */
interface PageBench {
  readonly herald: Herald;
  readonly page: Page;
  readonly request: APIRequestContext;
  readonly niceness: number;
}

/** A hundred jobs that move four times a second, for a minute. */
async function measureHundred({ herald, page, request, niceness }: PageBench): Promise<void> {
  const worker = await Caller.create(herald, request, "robot", "worker");
  const support = await Caller.create(herald, request, "sue", "support");
  const arrived = await countArrivals(page);
  await signIn(page, herald.link);
  const user = await whoAmI(page);
  const jobs = await oneByOne(100, (i) => worker.begin(user, `Job ${String(i)}`));
  await showAll(page, 100);
  const sender = new Sender(niceness);
  try {
    await page.evaluate(() => {
      window.scrollTo(0, 0); // where the job is that is timed
    });
    await sleep(2000);
    const period = await framePeriod(page);
    const painted = await notePaints(page, "row \\d+ is in", "article");
    const frames = await watchFrames(page, period);
    const [from, before] = [await ticks(), await arrived()];
    const order = { address: herald.address, token: worker.token, jobs, forMs: minute, every: 250 };
    const sent = await sender.send(order);
    const [to, { dropped, long, longestGap }] = [await ticks(), await frames()];
    await expect.poll(() => shownLast(page)).toEqual(sent.rounds.map((n) => `row ${String(n - 1)} is in`).toReversed());
    const perSecond = (events: number) => ((1000 * events) / minute).toFixed(0);
    const delays = delaysOf(await painted(), await support.text(`events?job=${jobs.at(-1) ?? ""}&format=ndjson`));
    show(`100 jobs, a minute, ${niceness === 0 ? "all alike" : "the page first"}`, [
      ["updates a second, in the log", perSecond(sent.logged), "400"],
      ["updates a second, in the page", perSecond((await arrived()) - before), ""],
      ["tasks over 50 ms", `${String(long.length)}, the longest ${ms(Math.max(0, ...long))}`, "none"],
      ["frames dropped", percent(dropped), "≤ 2 %"],
      ["a frame at rest; the longest gap", `${ms(period)}; ${ms(longestGap)}`, ""],
      [`log → painted, p50 of ${String(delays.length)}`, ms(quantile(delays, 0.5)), "≤ 30 ms"],
      ["log → painted, p99", ms(quantile(delays, 0.99)), "≤ 100 ms"],
      ...sharesOf(from, to, herald, sender),
    ]);
  } finally {
    await sender.end();
  }
}

/** Does it so many times, each after the one before, so that the ids that come of it sort by age. */
async function oneByOne(times: number, make: (i: number) => Promise<string>): Promise<string[]> {
  const made: string[] = [];
  for (let i = 0; i < times; i++) made.push(await make(i));
  return made;
}

/** Who took the processors between two moments. */
function sharesOf(from: Ticks, to: Ticks, herald: Herald, sender: Sender): [string, string, string][] {
  const shares = [
    ["Chromium and the test", shareOf(from, to, process.pid, [herald.pid, sender.pid])],
    ["Herald and its Postgres", shareOf(from, to, herald.pid)],
    ["the workers", shareOf(from, to, sender.pid)],
    ["all that runs on the machine", shareOfAll(from, to)],
  ] as const;
  return shares.map(([who, share]) => [`of the processors: ${who}`, percent(share), ""]);
}

/** Counts the events of jobs that come to the page, from now on. */
async function countArrivals(page: Page): Promise<() => Promise<number>> {
  await page.addInitScript(() => {
    const notes = window as unknown as { arrived: number };
    notes.arrived = 0;
    window.TextDecoder = class extends TextDecoder {
      override decode(...args: Parameters<TextDecoder["decode"]>): string {
        const text = super.decode(...args);
        for (let at = -1; (at = text.indexOf("event: job.", at + 1)) >= 0;) notes.arrived++;
        return text;
      }
    };
  });
  return () => page.evaluate(() => (window as unknown as { arrived: number }).arrived);
}

/** The last word of each job, as its card has it, the newest job first. */
function shownLast(page: Page): Promise<string[]> {
  return page
    .getByRole("article")
    .evaluateAll((cards) => cards.map((card) => /row \d+ is in/.exec(card.textContent)?.[0] ?? "nothing"));
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

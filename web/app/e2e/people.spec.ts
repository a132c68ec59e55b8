import AxeBuilder from "@axe-core/playwright";
import { expect } from "@playwright/test";
import { expectNarrow } from "./barriers";
import { Caller } from "./caller";
import { test } from "./herald";
import { card, expectBadge, makeTestVideo, signIn } from "./page";

test("a second user sees nothing of the first one's", async ({ herald, page, browser }) => {
  await signIn(page, herald.link);
  await makeTestVideo(page, "5 s");

  const others = await browser.newPage();
  await signIn(others, await herald.linkFor("alice"));
  await expect(others.getByText("alice").first()).toBeVisible();
  const hers = await makeTestVideo(others, "20 s");
  await expect(hers).toHaveAttribute("data-state", /running|succeeded/);
  await expect(others.getByRole("article")).toHaveCount(1);
  await expect(card(page, "Test video, 5 s")).toBeVisible();
  await expect(page.getByRole("article")).toHaveCount(1);
});

test("nobody gets in without a token, or with one that is not ours", async ({ herald, page, request }) => {
  for (const path of ["/api/jobs", "/api/sse", "/api/session", "/api/kinds"]) {
    expect((await request.get(`http://${herald.address}${path}`)).status()).toBe(401);
  }
  await page.goto(`http://${herald.address}/`);
  await expect(page.getByText("herald token").first()).toBeVisible();
  await page.goto(`http://${herald.address}/#token=a.b.c`);
  await expect(page.getByText("herald token").first()).toBeVisible();
});

test("the pages have no barrier that axe finds, light or dark", async ({ herald, page }) => {
  await signIn(page, herald.link);
  const made = await makeTestVideo(page, "5 s");
  await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 60_000 });
  const job = await made.getByRole("link").first().getAttribute("href");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const path of ["/", job ?? ""]) {
      await page.goto(`http://${herald.address}${path}`);
      await expectBadge(page, "Live");
      await expect(page.getByRole("article")).toHaveCount(1);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
    }
  }
});

test("the pages read from right to left as well", async ({ herald, page, request }) => {
  const worker = await Caller.create(herald, request, "robot", "worker");
  await page.addInitScript(() => {
    addEventListener("DOMContentLoaded", () => {
      document.documentElement.dir = "rtl";
    });
  });
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, herald.link);
  const id = await worker.begin("demo", "استيراد الطلبات", { steps: [{ name: "fetch" }, { name: "write" }] });
  await worker.report(id, { step: "write", progress: 0.25, processed: 120, total: 480, unit: "rows" });
  const shown = card(page, "استيراد الطلبات");
  const bar = shown.getByRole("progressbar").first();
  await expect(bar).toHaveAttribute("aria-valuenow", "25");
  // What is done stands at the right: the bar's fill ends where the bar does.
  const edges = () =>
    bar.evaluate((b) => {
      const [outer, inner] = [b.getBoundingClientRect(), b.firstElementChild?.getBoundingClientRect()];
      return [Math.round((inner?.left ?? 0) - outer.left), Math.round(outer.width)];
    });
  await expect.poll(async () => ((await edges())[0] ?? 0) > ((await edges())[1] ?? 0) / 2).toBe(true);
  // What is English still reads from left to right, with what a line begins with first.
  const leftOf = (word: string) =>
    shown.getByText("120 of 480 rows").evaluate((line, word) => {
      const [text, range] = [line.firstChild as Text, document.createRange()];
      range.setStart(text, text.data.indexOf(word));
      range.setEnd(text, text.data.indexOf(word) + word.length);
      return range.getBoundingClientRect().left;
    }, word);
  const words = await Promise.all(["120", "of", "480", "rows"].map(leftOf));
  expect(words).toEqual(words.toSorted((a, b) => a - b));
  for (const path of ["/", `/jobs/${id}`]) {
    await page.goto(`http://${herald.address}${path}`);
    await expectBadge(page, "Live");
    await expect(shown.or(page.getByRole("heading", { level: 1, name: "استيراد الطلبات" })).first()).toBeVisible();
    await expectNarrow(page);
    // The name of the page is at the reading's beginning, the menu at its end.
    const [name, menu] = [page.getByRole("link", { name: "Herald" }), page.getByRole("button", { name: "demo" })];
    const [left, right] = [(await name.boundingBox())?.x ?? 0, (await menu.boundingBox())?.x ?? 0];
    expect(left).toBeGreaterThan(right);
  }
  await page.screenshot({ path: test.info().outputPath("rtl.png"), fullPage: true });
});

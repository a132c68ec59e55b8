import AxeBuilder from "@axe-core/playwright";
import { expect } from "@playwright/test";
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

import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { test } from "./herald";

/** Notes what a page asks other sites for, and what its policy or the console complains of. */
function listen(page: Page, own: string): string[] {
  const wrong: string[] = [];
  page.on("request", (r) => {
    if (!/^(data|blob):/.test(r.url()) && new URL(r.url()).host !== own) wrong.push(r.url());
  });
  page.on("console", (m) => {
    if (m.type() === "error") wrong.push(m.text());
  });
  page.on("pageerror", (e) => wrong.push(e.message));
  return wrong;
}

/** What axe finds that is serious. Inside Elements, what its authors have built is theirs to mend. */
async function barriers(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).exclude("elements-api").analyze();
  return violations
    .filter((v) => v.impact === "serious" || v.impact === "critical")
    .map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
}

test("the reference shows the routes, asks nobody else, and tries them in the session", async ({ herald, page }) => {
  const wrong = listen(page, herald.address);
  const token = new URL(herald.link).hash.replace("#token=", "");
  await page.request.post(`http://${herald.address}/api/session`, { headers: { Authorization: `Bearer ${token}` } });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.goto(`http://${herald.address}/docs#/operations/list-kinds`);
    await expect(page.getByRole("heading", { level: 1, name: "List the kinds of job" })).toBeVisible();
    await expect(page.getByText("Start a job").first()).toBeAttached();
    await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
    expect(await barriers(page)).toEqual([]);
  }
  const answered = page.waitForResponse((r) => r.url().endsWith("/api/kinds"));
  await page.getByRole("button", { name: /^Send API Request/ }).click();
  expect((await answered).status()).toBe(200);
  await expect(page.getByText("200 OK").first()).toBeVisible();
  expect(wrong).toEqual([]);
});

test("the events are described, on a phone too", async ({ herald, page }) => {
  const wrong = listen(page, herald.address);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.goto(`http://${herald.address}/docs/events`);
    await expect(page.getByRole("heading", { name: "job.progress" })).toBeVisible();
    await expect(page.getByRole("region", { name: "Fields of notification.payment" })).toContainText("amount");
    expect(await barriers(page)).toEqual([]);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await page.getByRole("link", { name: "job.failed" }).click();
  await expect(page.getByRole("heading", { name: "job.failed" })).toBeInViewport();
  expect(wrong).toEqual([]);
});

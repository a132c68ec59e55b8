import { readFile } from "node:fs/promises";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { type Herald, test } from "./herald";
import { expectBadge, signIn } from "./page";
import { Caller } from "./caller";

/** Signs somebody of support in, and goes to a page of the desk. */
async function openDesk(herald: Herald, page: Page, path: string, role = "support"): Promise<void> {
  await signIn(page, await herald.linkFor(role === "support" ? "sue" : "root", role));
  await page.goto(`http://${herald.address}${path}`);
  await expectBadge(page, "Live");
}

const events = (page: Page) => page.locator('ul[aria-label="Events, newest first"] > li');
const live = (page: Page) => page.locator('ul[aria-label="Live events, newest first"] > li');

test("support finds an event, opens it, and sends a link to it", async ({ herald, page, request }) => {
  const shop = await Caller.create(herald, request, "shop", "backend");
  const job = await shop.fail("alice", "Tickets", "no paper in tray 2");
  await shop.tell("bob", "order.paid", { text: "Thank you" });

  await signIn(page, await herald.linkFor("sue", "support"));
  await page.getByRole("link", { name: "Support", exact: true }).click();
  await expect(events(page).filter({ hasText: "no paper in tray 2" }).first()).toBeVisible();
  await expect(page.getByText(/The log goes back to .*, event #1\./)).toBeVisible();

  // What is looked for stands in the address, and back leads to what was there before.
  await page.getByLabel("User", { exact: true }).fill("alice");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await expect(page).toHaveURL(/\?user=alice$/);
  await page.getByText("Problems", { exact: true }).click();
  await expect(page).toHaveURL(/\?user=alice&problems=true$/);
  await expect(events(page)).toHaveCount(1);
  await page.goBack();
  await expect(events(page).nth(1)).toBeVisible(); // what came before the failure
  await expect(page.getByLabel("User", { exact: true })).toHaveValue("alice");
  await page.goForward();
  await expect(events(page)).toHaveCount(1);

  // It opens in place, by keyboard too.
  const toggle = events(page).first().getByRole("button", { expanded: false });
  await toggle.focus();
  await page.keyboard.press("Enter");
  const detail = events(page).first();
  await expect(detail.getByRole("region", { name: /^Payload of/ })).toContainText('"error": "no paper in tray 2"');
  await expect(detail.getByText("was not connected at the time")).toBeVisible();
  await detail.getByRole("button", { name: "Explain" }).click();
  await expect(detail.getByText("was not sent it.")).toBeVisible();
  await expect(detail.getByRole("link", { name: job })).toHaveAttribute("href", `/support/jobs/${job}`);

  // A colleague gets the same by the link.
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await detail.getByRole("button", { name: "Copy link" }).click();
  await expect(detail.getByRole("status").filter({ hasText: "Copied" })).toHaveCount(1);
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toMatch(/\/support\?event=\d+$/);
  await page.goto(link);
  await expect(events(page)).toHaveCount(1);
  await expect(events(page).first()).toContainText('"error": "no paper in tray 2"');
});

test("what is found can be saved, and all that matches exported", async ({ herald, page, request }) => {
  const shop = await Caller.create(herald, request, "shop", "backend");
  await shop.fail("alice", "Tickets", "no paper in tray 2");
  await shop.fail("alice", "Badges", "the ink is dry");
  await openDesk(herald, page, "/support?user=alice&text=INK");
  await expect(events(page)).toHaveCount(1);

  await page.getByRole("button", { name: "Download", exact: true }).click();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "What is shown, as JSON" }).click();
  const saved = JSON.parse(await readFile(await (await saving).path(), "utf8")) as { events: { type: string }[] };
  expect(saved.events.map((e) => e.type)).toEqual(["job.failed"]);

  await page.getByRole("button", { name: "Export all that matches" }).click();
  await page.getByRole("button", { name: "As CSV" }).click();
  await page.getByRole("link", { name: "Watch it and download the file" }).click();
  await expect(page.getByRole("article")).toHaveAttribute("data-state", "succeeded");
  const id = page.url().split("/").at(-1) ?? "";
  const { artifacts } = (await (
    await page.request.get(`http://${herald.address}/api/jobs/${id}/artifacts`)
  ).json()) as {
    artifacts: { url: string }[];
  };
  const csv = await (await page.request.get(`http://${herald.address}${artifacts[0]?.url ?? ""}`)).text();
  expect(csv.trim().split("\n")).toHaveLength(2);
  expect(csv).toContain("the ink is dry");
  expect(csv).not.toContain("no paper");
});

test("a long list is read page by page, and few of its rows are drawn", async ({ herald, page, request }) => {
  const shop = await Caller.create(herald, request, "shop", "backend");
  for (let i = 0; i < 12; i++) {
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => shop.tell("bob", "tick.tock", { text: `Beat ${String(i * 50 + n)}` })),
    );
  }
  await openDesk(herald, page, "/support?type=tick.*");
  await expect(page.getByText(/^100 events, back to/)).toBeVisible();
  await expect(page.getByRole("button", { name: "Load older events" })).toBeVisible();
  await page.evaluate(() => {
    window.scrollTo(0, document.documentElement.scrollHeight); // which is enough
  });
  await expect(page.getByText("600 events, all there are")).toBeVisible();
  const button = (row: number) => page.locator(`li[data-index="${String(row)}"]`).getByRole("button");
  await page.evaluate(() => {
    window.scrollTo(0, 0);
  });
  await button(0).focus();
  await page.keyboard.press("ArrowDown");
  await expect(button(1)).toBeFocused();
  expect(await events(page).count()).toBeLessThan(80);

  // When what stands above the list grows, it still draws the rows that are before the reader.
  await page.getByRole("search").evaluate((above) => {
    above.style.marginBottom = "3000px";
  });
  await page.evaluate(() => {
    window.scrollTo(0, document.documentElement.scrollHeight / 2);
  });
  const inTheMiddle = () =>
    page.evaluate(
      () => document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest("li")?.dataset["index"] ?? "no row",
    );
  await expect.poll(inTheMiddle).toMatch(/^\d+$/);
});

test("the live tail follows, stands still, and goes on with what came meanwhile", async ({ herald, page, request }) => {
  const shop = await Caller.create(herald, request, "shop", "backend");
  await shop.tell("bob", "order.paid", { text: "Before" });
  await openDesk(herald, page, "/support");
  await page.getByRole("link", { name: "Live", exact: true }).click();
  await expect(page.locator("[data-tail=live]")).toBeVisible();
  await expect(live(page).filter({ hasText: "Before" })).toHaveCount(1);

  const job = await shop.fail("alice", "Tickets", "no paper in tray 2");
  await expect(live(page).filter({ hasText: "no paper" })).toBeVisible();
  await expect(live(page).filter({ hasText: "no paper" }).getByRole("link", { name: "alice" })).toBeVisible();
  await expect(live(page).getByRole("link", { name: "Tickets" }).first()).toHaveAttribute(
    "href",
    `/support/jobs/${job}`,
  );

  await page.getByRole("button", { name: "Pause" }).click();
  for (const text of ["One", "Two"]) await shop.tell("bob", "order.paid", { text });
  await page.getByRole("button", { name: "Resume with 2 new" }).click();
  await expect(live(page).first()).toContainText("Two");
  await expect(live(page).nth(1)).toContainText("One");

  await page.getByLabel("Text in what is shown").fill("TRAY 2");
  await expect(live(page)).toHaveCount(1);
  await expect(page).toHaveURL(/text=TRAY\+2/);
  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await expect(live(page)).toHaveCount(0);
});

test("who is connected shows by itself; support looks, and an admin disconnects", async ({ herald, page, browser }) => {
  await openDesk(herald, page, "/support/connections");
  const streams = page.getByRole("list", { name: "Open streams" }).getByRole("listitem");
  await expect(streams.filter({ hasText: "sue" }).first()).toBeVisible();
  const alice = await browser.newPage();
  await signIn(alice, await herald.linkFor("alice"));
  const hers = streams.filter({ hasText: "alice" });
  await expect(hers).toHaveCount(1);
  const button = hers.getByRole("button", { name: "Disconnect this stream of alice" });
  await expect(button).toHaveAttribute("aria-disabled", "true");
  await button.click({ force: true });
  await expect(hers.getByRole("button", { name: "Keep" })).toHaveCount(0);
  await expect(hers.getByRole("tooltip")).toContainText("Support may look and not change");

  const admin = await browser.newPage();
  await openDesk(herald, admin, "/support/connections?user=alice", "admin");
  await admin.getByRole("button", { name: "Disconnect this stream of alice" }).click();
  await admin.getByRole("button", { name: "Disconnect", exact: true }).click();
  await admin.getByText("Ended", { exact: true }).click();
  const ended = admin.getByRole("list", { name: "Streams that have ended" }).getByRole("listitem");
  await expect(ended.filter({ hasText: "root ended it" })).toHaveCount(1);
  await expectBadge(alice, "Live"); // she is back
  await admin.getByText("Open now", { exact: true }).click();
  await expect(admin.getByText("alice has one stream")).toBeVisible();
  await admin.getByRole("button", { name: "Disconnect all streams of alice" }).click();
  await admin.getByRole("group").getByRole("button", { name: "Disconnect", exact: true }).click();
  await admin.getByText("Ended", { exact: true }).click();
  await expect(ended.filter({ hasText: "root ended it" })).toHaveCount(2);
});

test("who has no such role is told who has, and the rest of the page stays", async ({ herald, page, context }) => {
  await signIn(page, await herald.linkFor("alice"));
  await expect(page.getByRole("link", { name: "Support", exact: true })).toHaveCount(0);
  await page.goto(`http://${herald.address}/support/connections`);
  await expect(page.getByText("These pages show what belongs to others")).toBeVisible();
  await expect(page.getByRole("link", { name: "Connections" })).toHaveCount(0);

  await openDesk(herald, page, "/support");
  await expect(page.getByRole("button", { name: "Refresh" })).toBeVisible();
  await context.setOffline(true);
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "The log could not be read" })).toBeVisible();
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText(/events?, all there are/)).toBeVisible();
});

/** By how many pixels the page is wider than its window. */
function widerThanScreen(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

test("the desk has no barrier that axe finds, light or dark, and fits a phone", async ({ herald, page, request }) => {
  const shop = await Caller.create(herald, request, "shop", "backend");
  await shop.fail(
    "alice",
    "A title that is rather long, as titles of tickets and badges tend to be",
    "no paper in tray 2",
  );
  await shop.tell("bob", "order.paid", { text: "Thank you" });
  await openDesk(herald, page, "/support", "admin");
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const [colorScheme, width] of [
    ["light", 1200],
    ["dark", 1200],
    ["light", 360],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/support", "/support/live", "/support/connections"]) {
      await page.goto(`http://${herald.address}${path}`);
      await expectBadge(page, "Live");
      const rows = page.getByRole("main").getByRole("listitem");
      await expect(rows.first()).toBeVisible();
      if (path !== "/support/connections") {
        const failed = rows.filter({ hasText: "no paper" }).first();
        await failed.getByRole("button").first().click();
        await expect(failed.getByText("was not connected at the time")).toBeVisible();
      }
      for (const menu of path === "/support" ? ["All types", "Any state", "Any time"] : []) {
        await page.getByRole("button", { name: menu }).click();
        await expect.poll(() => widerThanScreen(page), `the menu ${menu} is too wide by`).toBeLessThanOrEqual(0);
        await page.keyboard.press("Escape");
      }
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map((v) => `${path} ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
      expect(await widerThanScreen(page), `${path} is too wide by`).toBeLessThanOrEqual(0);
    }
  }
});

import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, expect, type Page } from "@playwright/test";
import { type Herald, test } from "./herald";
import { card, expectBadge, makeTestVideo, signIn, writeNotes } from "./page";

/** What publishes notifications to demo, as a back end would. */
async function payer(herald: Herald, page: Page): Promise<(message: string) => Promise<void>> {
  const token = (await herald.linkFor("shop", "backend")).split("#token=")[1] ?? "";
  return async (message) => {
    const answer = await page.request.post(`http://${herald.address}/api/sse/message`, {
      headers: { authorization: `Bearer ${token}` },
      data: {
        event: "notification.payment",
        data: { payment_id: "p1", status: "succeeded", amount: "12.50", currency: "EUR", message },
        to: { user: "demo" },
      },
    });
    expect(answer.status()).toBe(200);
  };
}

/** Pages that can be hidden, and say what they told the system. Of the browser's own notifications nothing can be seen. */
async function watchSystem(context: BrowserContext, permission: NotificationPermission): Promise<void> {
  await context.addInitScript((permission) => {
    const state = { hidden: false, told: [] as string[], asked: 0 };
    Object.assign(window, { system: state });
    Object.defineProperty(document, "visibilityState", { get: () => (state.hidden ? "hidden" : "visible") });
    class Recorder extends EventTarget {
      static permission = sessionStorage.getItem("permission") ?? (permission === "denied" ? "denied" : "default");
      static requestPermission() {
        state.asked++;
        sessionStorage.setItem("permission", permission);
        Recorder.permission = permission;
        return Promise.resolve(permission);
      }
      constructor(title: string) {
        super();
        state.told.push(title);
      }
    }
    Object.assign(window, { Notification: Recorder });
  }, permission);
}

interface System {
  hidden: boolean;
  readonly told: string[];
  readonly asked: number;
}

const systemOf = (page: Page) => page.evaluate(() => (window as unknown as { system: System }).system);

async function hide(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((hidden) => {
    (window as unknown as { system: System }).system.hidden = hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

const notices = (page: Page) => page.getByRole("region", { name: "Notices" }).getByRole("listitem");

test("a job that ends while one looks elsewhere is told, and leads to it", async ({ herald, page }, testInfo) => {
  await signIn(page, herald.link);
  const first = await makeTestVideo(page, "5 s");
  await expect(first).toHaveAttribute("data-state", "succeeded", { timeout: 60_000 });
  await expect(notices(page)).toHaveCount(0); // it was looked at
  await makeTestVideo(page, "20 s");
  await first.getByRole("link").first().click();
  const toast = notices(page).filter({ hasText: "Test video, 20 s is finished" });
  await expect(toast).toBeVisible({ timeout: 90_000 });
  await expect(page.getByText("Test video, 20 s: finished.")).toHaveCount(1); // announced once
  await toast.getByRole("link").click();
  await expect(page.getByRole("heading", { name: "Test video, 20 s" })).toBeVisible();
  await expect(notices(page)).toHaveCount(0);

  await page.goBack();
  await page.getByRole("link", { name: "Herald" }).first().click();
  await page.getByLabel("Video files").setInputFiles(await writeNotes(testInfo.outputPath("notes.mp4")));
  await expect(card(page, "notes.mp4")).toHaveAttribute("data-state", "failed", { timeout: 60_000 });
  await page.getByRole("button", { name: /^Notifications, 3 unread/ }).click();
  const centre = page.getByRole("dialog", { name: "Notifications" });
  await expect(centre.getByRole("listitem").first()).toContainText("notes.mp4 has failed");
  await expect(centre.getByRole("listitem").first()).toContainText("try it again");
});

test("notifications are shown, stay as long as they are pointed at, are bounded, and are read once", async ({
  herald,
  page,
}) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, herald.link);
  const pay = await payer(herald, page);
  await pay("Thank you, 1");
  await notices(page).first().hover(); // pointed at, they stay
  for (let n = 2; n <= 4; n++) await pay(`Thank you, ${String(n)}`);
  await expect(notices(page)).toHaveText([/Thank you, 2/, /Thank you, 3/, /Thank you, 4/]);
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).include("section[aria-label=Notices]").analyze();
    expect(violations.map((v) => v.id)).toEqual([]);
  }
  await page
    .getByRole("button", { name: /^Dismiss: Payment/ })
    .last()
    .focus();
  await page.keyboard.press("Escape");
  await expect(notices(page)).toHaveCount(2);

  await page.reload();
  await expectBadge(page, "Live");
  const bell = page.getByRole("button", { name: /^Notifications/ });
  await expect(bell).toHaveAccessibleName("Notifications, 4 unread");
  await bell.focus();
  await page.keyboard.press("Enter");
  const centre = page.getByRole("dialog", { name: "Notifications" });
  await expect(centre.getByRole("listitem")).toHaveCount(4);
  const { violations } = await new AxeBuilder({ page }).include("[aria-label=Notifications][role=dialog]").analyze();
  expect(violations.map((v) => v.id)).toEqual([]);
  await expect(bell).toHaveAccessibleName("Notifications");
  await page.reload();
  await expect(bell).toHaveAccessibleName("Notifications");
});

test("while no tab is looked at, one tab alone tells the system", async ({ herald, page, context }) => {
  await watchSystem(context, "granted");
  await signIn(page, herald.link);
  expect((await systemOf(page)).asked).toBe(0); // never on load
  const other = await context.newPage();
  await other.goto(`http://${herald.address}/`);
  await expectBadge(other, "Live");
  await page.getByRole("button", { name: /^Notifications/ }).click();
  await page.getByRole("switch").click();
  await expect(page.getByRole("switch")).toBeChecked();
  await other.evaluate(() => {
    sessionStorage.setItem("permission", "granted");
  });
  await other.reload();
  await expectBadge(other, "Live");

  const pay = await payer(herald, page);
  await hide(page, true);
  await pay("to the one that is looked at");
  await expect(notices(other)).toHaveCount(1);
  expect((await systemOf(page)).told).toEqual([]);

  await hide(other, true);
  await pay("to the system");
  const told = async () => [...(await systemOf(page)).told, ...(await systemOf(other)).told];
  await expect.poll(told).toEqual(["Payment of 12.50 EUR has succeeded"]);
  await hide(page, false);
  await pay("seen again");
  await expect(notices(page).filter({ hasText: "seen again" })).toBeVisible();
  expect(await told()).toHaveLength(1);
});

test("where the browser blocks notifications, the switch says so", async ({ herald, page, context }) => {
  await watchSystem(context, "denied");
  await signIn(page, herald.link);
  await page.getByRole("button", { name: /^Notifications/ }).click();
  await expect(page.getByRole("switch")).not.toBeChecked();
  await expect(page.getByText("Your browser blocks notifications from this site.")).toBeVisible();
  await expect(page.getByRole("switch")).toBeDisabled();
  expect((await systemOf(page)).asked).toBe(0);
});

test("the list is filtered in its address, and the browser's way back works", async ({ herald, page }, testInfo) => {
  await signIn(page, herald.link);
  const made = await makeTestVideo(page, "5 s");
  await page.getByLabel("Video files").setInputFiles(await writeNotes(testInfo.outputPath("notes.mp4")));
  await expect(card(page, "notes.mp4")).toHaveAttribute("data-state", "failed", { timeout: 60_000 });
  await page.getByText("Failed", { exact: true }).first().click();
  await expect(page).toHaveURL(/\/\?show=failed$/);
  await expect(page.getByRole("article")).toHaveCount(1);
  await page.getByRole("searchbox").fill("nothing like it");
  await expect(page.getByText("There is no job that has failed with “nothing like it”")).toBeVisible();
  await page.getByRole("searchbox").fill("NOTES");
  await expect(page).toHaveURL(/show=failed&text=NOTES$/);
  await expect(card(page, "notes.mp4")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("article")).toHaveCount(1);
  await expect(page.getByRole("searchbox")).toHaveValue("NOTES");
  await page.goBack();
  await expect(page).toHaveURL(`http://${herald.address}/`);
  await expect(page.getByRole("article")).toHaveCount(2);
  await expect(made).toBeVisible();
  await expect(page.getByRole("searchbox")).toHaveValue("");
});

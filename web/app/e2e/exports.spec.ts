import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { expect } from "@playwright/test";
import { test } from "./herald";
import { card, signIn } from "./page";

const orders = `-- title: Orders
-- description: Orders of the shop, the oldest first.
-- roles: user, admin
-- param: owner owner
-- param: since timestamptz required Only orders since then.
-- param: status text[] in=open,paid,sent Only orders in one of these states.
-- param: least integer default=0 Only orders of that much or more.
SELECT n AS id, '=1+' || n AS note, $2 AS made FROM generate_series(1, 3) n
WHERE $1::text IS NOT NULL AND ($3::text[] IS NULL OR 'paid' = ANY ($3)) AND n >= $4
`;

test("an export begins on a form that the dataset describes, and says what is wrong where it is", async ({
  herald,
  page,
}) => {
  const folder = await mkdtemp(join(tmpdir(), "herald-datasets-"));
  await writeFile(join(folder, "orders.sql"), orders);
  await herald.end("SIGTERM");
  await herald.start("--datasets-dir", folder);
  await signIn(page, herald.link);
  await page.getByText("Data export", { exact: true }).click();
  const form = page.getByRole("form", { name: "New export" });

  await test.step("as one types", async () => {
    const job = form.getByLabel("Job", { exact: true });
    await job.fill("123");
    await expect(job).toHaveAttribute("aria-invalid", "true");
    await expect(form.getByText("Write an id of 32 digits")).toBeVisible();
    await form.getByRole("button", { name: "Start the export" }).click();
    await expect(job).toBeFocused();
    await expect(page.getByRole("article")).toHaveCount(0);
  });

  await test.step("an operator's dataset, and what it needs", async () => {
    await form.getByText("Orders", { exact: true }).click();
    await expect(form.getByText("Orders of the shop, the oldest first.")).toBeVisible();
    await form.getByRole("button", { name: "Start the export" }).click();
    await expect(form.getByText("This is needed.")).toBeVisible();
    await expect(form.getByLabel("Since")).toBeFocused();
  });

  await test.step("what only the server knows to be wrong", async () => {
    await form.getByLabel("Since").fill("2026-03-01T00:00");
    // As if the page had let something pass.
    await page.route(
      "**/api/jobs",
      (route) =>
        route.continue({ postData: (route.request().postData() ?? "").replace(/2026-\d\d-\d\dT[^"]*/, "soon") }),
      { times: 1 },
    );
    await form.getByRole("button", { name: "Start the export" }).click();
    await expect(form.getByText(/want a time such as/)).toBeVisible();
    await expect(form.getByLabel("Since")).toBeFocused();
    await form.getByLabel("Since").fill("2026-03-01T12:00");
    await expect(form.getByText(/want a time such as/)).toBeHidden();
  });

  await test.step("and what comes of it", async () => {
    await form.getByText("Paid", { exact: true }).click();
    await form.getByLabel("Least").fill("2");
    await form.getByText("Safe to open in a spreadsheet").click();
    await form.getByText("More options").click();
    await form.getByLabel("Time zone").fill("Europe/Berlin");
    await form.getByText("Semicolon", { exact: true }).click();
    await form.getByRole("button", { name: "Start the export" }).click();
    const made = card(page, "Orders as CSV");
    await expect(made).toHaveAttribute("data-state", "succeeded", { timeout: 60_000 });
    const id = (await made.getByRole("link").first().getAttribute("href"))?.split("/").pop() ?? "";
    const { artifacts } = (await (
      await page.request.get(`http://${herald.address}/api/jobs/${id}/artifacts`)
    ).json()) as {
      artifacts: { url: string }[];
    };
    const file = await page.request.get(`http://${herald.address}${artifacts[0]?.url ?? ""}`);
    expect(await file.text()).toBe("id;note;made\n2;'=1+2;2026-03-01 12:00:00+01\n3;'=1+3;2026-03-01 12:00:00+01\n");
  });
});

test("the form has no barrier, by keyboard, light and dark, on a phone", async ({ herald, page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, herald.link);
  await page.getByRole("radio", { name: "Video" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("radio", { name: "Data export" })).toBeChecked();
  const form = page.getByRole("form", { name: "New export" });
  await form.getByText("More options").focus();
  await page.keyboard.press("Enter");
  await expect(form.getByLabel("Time zone")).toBeVisible();
  const wider = () => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  expect(await wider()).toBe(false);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
  }
  await form.getByRole("button", { name: "Start the export" }).focus();
  await page.keyboard.press("Enter");
  await expect(card(page, "Events as CSV")).toBeVisible();
});

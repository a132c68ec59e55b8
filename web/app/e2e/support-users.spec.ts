import { expect, type Page } from "@playwright/test";
import { Caller } from "./caller";
import { expectAccessible, expectNarrow } from "./barriers";
import { test } from "./herald";
import { card, pageOf } from "./page";

const title = "Import of March";

/** Alice sees her job at 20 %, is away until it is at 60 %, and comes back: the seqs of the job's events. */
async function story(backend: Caller, open: () => Promise<Page>): Promise<{ id: string; seqs: number[] }> {
  const first = await open();
  const id = await backend.begin("alice", title, { worker: "worker-1" });
  for (const progress of [0.1, 0.2]) await backend.report(id, { progress });
  await expect(card(first, title)).toContainText(/20\s%/);
  const online = async () => (await backend.get<{ online: boolean }>("users/alice/presence")).online;
  await expect.poll(online).toBe(true); // it is written down a second later; before that she is not there either
  await first.close();
  await expect.poll(online).toBe(false);
  for (const progress of [0.5, 0.6]) await backend.report(id, { progress });
  const seqs = await backend.seqs(id, 6);
  const again = await open();
  await expect(card(again, title)).toContainText(/60\s%/);
  await backend.report(id, { progress: 0.7 });
  await expect(card(again, title)).toContainText(/70\s%/);
  await expect.poll(online).toBe(true);
  return { id, seqs: [...seqs, ...(await backend.seqs(id, 7)).slice(6)] };
}

test("support sees what a user saw, also while they were away, and what was so", async ({
  herald,
  browser,
  request,
}) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const { id, seqs } = await story(backend, () => pageOf(browser, herald, "alice"));
  const [, , , twenty = 0, , sixty = 0] = [0, ...seqs];
  expect(twenty).toBeLessThan(sixty);
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/support/users/alice/then?span=10m&at=${String(seqs[5] ?? 0)}`);
  const hers = page.getByRole("region", { name: "What alice saw" });
  await expect(hers.getByRole("article", { name: title })).toContainText(/20\s%/);
  await expect(page.getByText(/^Offline from .+ to .+\. Their cards stand still\.$/)).toBeVisible();
  await expect(hers.getByText("Offline", { exact: true })).toBeVisible();
  await page.getByLabel("The truth beside it").check();
  const truth = page.getByRole("region", { name: "What was so" });
  await expect(truth.getByRole("article", { name: title })).toContainText(/60\s%/);
  await expect(page).toHaveURL(/truth=1/);

  const slider = page.getByRole("slider", { name: "Moment" });
  await slider.focus();
  await page.keyboard.press("ArrowRight");
  await expect(hers.getByRole("article", { name: title })).toContainText(/60\s%/);
  await expect(hers.getByText("Live", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Step on" }).click();
  await expect(hers.getByRole("article", { name: title })).toContainText(/70\s%/);
  for (let i = 0; i < 2; i++) await page.keyboard.press("ArrowLeft");
  await slider.focus();
  for (let i = 0; i < 2; i++) await page.keyboard.press("ArrowLeft");
  await expect(hers.getByRole("article", { name: title })).toContainText(/20\s%/);
  const moment = new Date(Number(await slider.inputValue())).toISOString();
  await expect.poll(() => new URL(page.url()).searchParams.get("at")).toBe(moment);
  await page.reload();
  await expect(hers.getByRole("article", { name: title })).toContainText(/20\s%/);

  const cancel = hers.getByRole("button", { name: `Cancel ${title}` });
  await cancel.focus(); // a click would wait until it can be used
  await page.keyboard.press("Enter");
  await expect(cancel).toHaveAttribute("aria-disabled", "true");
  await expect(hers.getByRole("tooltip").first()).toContainText("nothing can be done in the past");
  expect((await backend.get<{ state: string }>(`jobs/${id}`)).state).toBe("running");

  const looks = async () => {
    const { events } = await backend.get<{ events: { data: { reader: string; whose: string; what: string[] } }[] }>(
      "events?type=access.read&limit=200",
    );
    return events.filter((e) => e.data.reader === "sue" && e.data.whose === "alice").flatMap((e) => e.data.what);
  };
  await expect.poll(looks).toEqual(expect.arrayContaining(["events of user:alice", "user:alice"]));
});

test("the past plays, and stops at the end of the stretch or when it is told to", async ({
  herald,
  browser,
  request,
}) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const { seqs } = await story(backend, () => pageOf(browser, herald, "alice"));
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/support/users/alice/then?span=10m&at=${String(seqs[2] ?? 0)}`);
  const hers = page.getByRole("region", { name: "What alice saw" });
  await expect(hers.getByRole("article", { name: title })).toContainText(/10\s%/);
  await page.getByText("10×").click();
  await page.getByRole("button", { name: "Play" }).click();
  await expect(hers.getByRole("article", { name: title })).toContainText(/70\s%/, { timeout: 60_000 });
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("button", { name: "Play" })).toBeVisible();
});

test("a user's page says whether they are there, what they have, and what came", async ({
  herald,
  browser,
  request,
}) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  await story(backend, () => pageOf(browser, herald, "alice"));
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/support/users/alice`);
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  await expect(page.getByRole("region", { name: "Connections" })).toContainText(/Offline for/);
  await expect(page.getByRole("region", { name: "Jobs" }).getByRole("link", { name: new RegExp(title) })).toBeVisible();
  const told = page.getByRole("region", { name: "What they were told" });
  await expect(told.getByRole("button", { name: /^2 progress reports, 50\s% to 60\s%$/ })).toBeVisible();
  await expect(told.getByText("In the jobs they got when they came back")).toHaveCount(1);
  await told.getByText("Notices", { exact: true }).click();
  await expect(told.getByText("The log has nothing of it for this user.")).toBeVisible();
  await expect(page).toHaveURL(/about=notices/);
  await page.goto(`http://${herald.address}/support/users/nobody`);
  await expect(page.getByText("Not connected")).toBeVisible();
  await expect(page.getByText("They have none.")).toBeVisible();
});

test("what did not come to a user is found", async ({ herald, browser, request }) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  await backend.post("sse/message", {
    event: "notification.custom.news",
    data: { message: "Hello" },
    to: { users: ["alice"] },
  });
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/support/users/alice?missed=1`);
  await expect(page.getByText("Not sent: nobody was connected")).toBeVisible();
  await page.getByRole("button", { name: "Hello" }).click();
  await page.getByRole("link", { name: "What they saw then" }).click();
  await expect(page.getByText("No page of theirs had been open by then", { exact: false })).toBeVisible();
});

test("a user's pages have no barrier that axe finds, and fit on a phone", async ({ herald, browser, request }) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const { seqs } = await story(backend, () => pageOf(browser, herald, "alice"));
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/support/users/alice?open=${String(seqs[5] ?? 0)}`);
  await expectAccessible(page, () =>
    expect(page.getByRole("region", { name: "What became of it" })).toContainText("alice"),
  );
  await expectNarrow(page);
  await page.goto(`http://${herald.address}/support/users/alice/then?span=10m&truth=1&at=${String(seqs[5] ?? 0)}`);
  await expectAccessible(page, () => expect(page.getByRole("article", { name: title })).toHaveCount(2));
  await expectNarrow(page);
});

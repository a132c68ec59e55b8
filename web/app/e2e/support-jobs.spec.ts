import { writeFile } from "node:fs/promises";
import { expect, type Page } from "@playwright/test";
import { Caller } from "./caller";
import { card, pageOf } from "./page";
import { expectAccessible, expectNarrow } from "./barriers";
import { type Herald, test } from "./herald";

const error = "The importer ended with status 1.\nreading part 7\nreading part 8: no such file";

/** A job of alice's whose first attempt fails, and whose second succeeds. */
async function story(backend: Caller): Promise<string> {
  const id = await backend.begin("alice", "Import of March", { worker: "worker-1" });
  for (const progress of [0.1, 0.2, 0.3, 0.4]) await backend.report(id, { progress });
  await backend.report(id, { state: "retrying", error, retry_at: new Date().toISOString() });
  await backend.claim(id, { worker: "worker-2" });
  await backend.report(id, { attempt: 2, progress: 0.5, message: "Half of it" });
  await backend.report(id, { attempt: 2, state: "succeeded" });
  return id;
}

async function openJob(page: Page, herald: Herald, id: string): Promise<void> {
  await page.goto(`http://${herald.address}/support/jobs/${id}`);
  await expect(page.getByRole("heading", { level: 1, name: "Import of March" })).toBeVisible();
}

test("a job's timeline is read, opened, narrowed down, kept in a file and shown from it", async ({
  herald,
  browser,
  request,
}, testInfo) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const id = await story(backend);
  await backend.seqs(id, 10);
  const page = await pageOf(browser, herald, "sue", "support");
  await openJob(page, herald, id);
  const list = page.getByRole("list", { name: "Events" });
  await expect(list.getByRole("heading", { name: /^Attempt 1 failed on worker-1/ })).toBeVisible();
  await expect(list.getByText("reading part 8: no such file")).toBeVisible();
  await expect(list.getByRole("heading", { name: /^Attempt 2 succeeded on worker-2/ })).toBeVisible();

  await list.getByRole("button", { name: /^4 progress reports, 10\s% to 40\s%$/ }).click();
  await expect(list.getByRole("button", { name: /^20\s% done$/ })).toBeVisible();
  await list.getByRole("button", { name: /Attempt 1 failed; another one follows/ }).click();
  await expect(list.getByRole("row", { name: "state running retrying" })).toBeVisible();
  await expect(list.getByRole("region", { name: "What became of it" })).toContainText("alice");
  await expect(list.getByRole("region", { name: /^Payload of event/ })).toContainText('"retrying"');
  await page.getByText("From start").click();
  await page.getByLabel("Problems only").check();
  await expect(list.getByText("Half of it")).toHaveCount(0);
  expect(page.url()).toMatch(/errors=1.*clock=start.*open=/);
  await page.reload();
  await expect(list.getByRole("row", { name: "state running retrying" })).toBeVisible();
  await page.getByLabel("Problems only").uncheck();

  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download JSON" }).click();
  const file = testInfo.outputPath("timeline.json");
  await (await downloading).saveAs(file);
  const asked: string[] = [];
  page.on("request", (r) => asked.push(r.url()));
  await page.getByLabel("Open a file").setInputFiles(file);
  await expect(page.getByText(/^From a file of/)).toBeVisible();
  await expect(list.getByText(/Half of it/)).toBeVisible();
  await expect(list.getByText("What became of it is not in the file.")).toBeVisible();
  expect(asked.filter((url) => /api\/(jobs|events)/.test(url))).toEqual([]);
  const broken = testInfo.outputPath("broken.json");
  await writeFile(broken, '{"format":"herald.timeline/1","job":"<script>","events":[]}');
  await page.getByLabel("Open a file").setInputFiles(broken);
  await expect(page.getByRole("alert")).toContainText("does not say of which job");
  await page.getByRole("button", { name: "Close the file" }).click();
  await expect(page.getByText("Follows as it goes")).toBeVisible();
});

test("a timeline grows while its job runs, and says whose it is", async ({ herald, browser, request }) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const id = await backend.begin("alice", "Import of March", { worker: "worker-1" });
  const page = await pageOf(browser, herald, "sue", "support");
  await openJob(page, herald, id);
  await expect(page.getByText("Follows as it goes")).toBeVisible();
  await backend.report(id, { message: "One more thing" });
  await expect(page.getByRole("button", { name: "One more thing" })).toBeVisible();
  await backend.report(id, { state: "failed", error: "It broke" });
  await expect(page.getByRole("heading", { name: /^Attempt 1 failed/ })).toBeVisible();
  await page.getByRole("link", { name: "alice", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "alice" })).toBeVisible();
});

test("the page of somebody else's job goes along with it, and that somebody looks is written down", async ({
  herald,
  browser,
  request,
}) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const id = await backend.begin("alice", "Import of March");
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/jobs/${id}`);
  const shown = card(page, "Import of March");
  await expect(shown).toHaveAttribute("data-state", "running");
  const follows = async () =>
    (
      await backend.get<{ connections: { user: string; topics: string[] }[] }>("connections?user=sue&live=true")
    ).connections.some(({ topics }) => topics.includes(`job:${id}`));
  await expect.poll(follows).toBe(true);
  await backend.report(id, { progress: 0.42 });
  await expect(page.getByRole("progressbar").first()).toHaveAttribute("aria-valuenow", "42");
  await backend.report(id, { message: "row 420" }, { state: "failed", error: "The disk is full." });
  await expect(shown).toHaveAttribute("data-state", "failed");
  await expect(page.getByText("row 420").first()).toBeVisible();
  const { events } = await backend.get<{ events: { data: { reader: string; what: string[] } }[] }>(
    "events?type=access.read",
  );
  expect(events.filter(({ data }) => data.reader === "sue" && data.what.includes(`job:${id}`))).not.toEqual([]);
  // What nobody follows any more is not among one's own.
  await page.getByRole("link", { name: "All jobs" }).click();
  await expect(page.getByText("Nothing here yet")).toBeVisible();
  await expect.poll(follows, { timeout: 60_000 }).toBe(false); // the server sees it when its heart next beats
});

test("of ten thousand events, those in sight are drawn", async ({ herald, browser, request }) => {
  test.slow(); // it is the reporting that takes so long
  const backend = await Caller.create(herald, request, "ops", "admin");
  const id = await backend.begin("alice", "Import of March", { worker: "worker-1" });
  for (let i = 0; i < 100; i++) {
    const reports = Array.from({ length: 100 }, (_, n) => ({ message: `part ${String(i * 100 + n + 1)}` }));
    await backend.report(id, ...reports);
  }
  const page = await pageOf(browser, herald, "sue", "support");
  await openJob(page, herald, id);
  await expect(page.getByText(/^10,002 events/)).toBeVisible({ timeout: 60_000 });
  await page.evaluate(() => {
    window.scrollTo(0, document.documentElement.scrollHeight);
  });
  await expect(page.getByRole("button", { name: "part 10000" })).toBeVisible();
  expect(await page.getByRole("listitem").count()).toBeLessThan(120);
});

test("a job's timeline has no barrier that axe finds, and fits on a phone", async ({ herald, browser, request }) => {
  const backend = await Caller.create(herald, request, "ops", "admin");
  const id = await story(backend);
  const seqs = await backend.seqs(id, 10);
  const page = await pageOf(browser, herald, "sue", "support");
  await page.goto(`http://${herald.address}/support/jobs/${id}?open=${String(seqs[6] ?? 0)}`);
  await expectAccessible(page, () =>
    expect(page.getByRole("region", { name: "What became of it" })).toContainText("alice"),
  );
  await expectNarrow(page);
});

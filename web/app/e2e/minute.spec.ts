import { expect } from "@playwright/test";
import { Caller } from "./caller";
import { Gate } from "./gate";
import { test } from "./herald";
import { card, expectBadge, signIn } from "./page";
import { notesOf, openTab, serveClient } from "./tab";

test("a page that hears nothing for a minute says so, and then misses nothing and gets nothing twice", async ({
  herald,
  context,
  request,
}) => {
  test.slow(); // it waits for more than a minute
  const backend = await Caller.create(herald, request, "ops", "admin");
  const gate = await Gate.to(herald.address);
  try {
    await serveClient(context);
    const page = await context.newPage();
    await signIn(page, herald.link.replace(herald.address, gate.address));
    const tab = await openTab(context, gate, "demo");
    const resumed: (string | undefined)[] = [];
    tab.on("request", (r) => {
      if (r.method() === "GET") resumed.push(r.headers()["last-event-id"]);
    });
    const nightly = await backend.begin("demo", "Nightly import");
    // When its worker says nothing for a minute, the server gives it up: that is how long the cut lasts.
    const lost = await backend.begin("demo", "Lost import", { lease_ms: 60_000, max_attempts: 1 });
    const seqsOf = async (job: string) =>
      (await backend.get<{ events: { seq: number }[] }>(`jobs/${job}/events`)).events.map((e) => e.seq);
    const before = [...(await backend.seqs(nightly, 2)), ...(await backend.seqs(lost, 2))];
    await expect.poll(async () => (await notesOf(tab)).got).toEqual(before);
    await expect(card(page, "Lost import")).toHaveAttribute("data-state", "running");

    gate.hold();
    await backend.report(lost, { message: "the last word" });
    await backend.report(nightly, { progress: 0.4 });
    await expect(page.locator("[data-connection]")).toHaveText("Reconnecting", { timeout: 60_000 });
    await expectBadge(page, "Herald cannot be reached.");
    const stateOfLost = async () => (await backend.get<{ state: string }>(`jobs/${lost}`)).state;
    expect(await stateOfLost()).toBe("running"); // so the page has said it long before the minute was over
    await backend.report(nightly, { progress: 0.8 }, { state: "succeeded" });
    const second = await backend.fail("demo", "Second import", "The disk is full.");
    await expect.poll(stateOfLost, { timeout: 120_000 }).toBe("failed");
    // What the page knew is still there, and is not called finished.
    for (const title of ["Nightly import", "Lost import"])
      await expect(card(page, title)).toHaveAttribute("data-state", "running");
    await expect(card(page, "Second import")).toHaveCount(0);

    gate.release();
    await expectBadge(page, "Live");
    await expect(card(page, "Nightly import")).toHaveAttribute("data-state", "succeeded");
    await expect(card(page, "Lost import")).toHaveAttribute("data-state", "failed");
    await expect(card(page, "Second import")).toContainText("The disk is full.");
    const log = (await Promise.all([nightly, lost, second].map(seqsOf))).flat().sort((a, b) => a - b);
    await expect.poll(async () => (await notesOf(tab)).got).toEqual(log);
    expect(resumed).toContain(String(before.at(-1)));
    await backend.begin("demo", "Third import");
    await expect(card(page, "Third import")).toBeVisible();
  } finally {
    await gate.end();
  }
});

import { act } from "react";
import { expect, test, vi } from "vitest";
import { Announcer } from "../components/announcer";
import { deskOf, idOf, jobOf, noon, render } from "../testing";
import { JobsPage } from "./jobs";

function titles(container: HTMLElement): (string | null)[] {
  return Array.from(container.querySelectorAll("article")).map((a) => a.getAttribute("aria-label"));
}

test("an empty list invites, and a list not yet read does not claim to be empty", () => {
  const { desk } = deskOf();
  const container = render(<JobsPage onPresetsAgain={() => undefined} />, desk);
  expect(container.textContent).not.toContain("Nothing here yet");
  expect(container.querySelector("[aria-busy]")).not.toBeNull();
  act(() => {
    desk.store.listRead({ status: "ready", next: "" });
  });
  expect(container.textContent).toContain("Nothing here yet");
});

test("a card stays itself when its job ends and moves down", () => {
  const { desk } = deskOf();
  const container = render(<JobsPage onPresetsAgain={() => undefined} />, desk);
  act(() => {
    desk.store.put(jobOf({ id: idOf(1), title: "one" }));
    desk.store.put(jobOf({ id: idOf(2), title: "two" }));
  });
  expect(titles(container)).toEqual(["two", "one"]);
  const two = container.querySelector("article");
  act(() => {
    desk.store.put(jobOf({ id: idOf(2), title: "two", version: 9, state: "cancelled", finished_at: noon }));
  });
  expect(titles(container)).toEqual(["one", "two"]);
  expect(container.querySelectorAll("article")[1]).toBe(two);
});

test("older jobs are asked for while there are any", async () => {
  const listJobs = vi.fn(() => Promise.resolve({ jobs: [jobOf({ id: idOf(1), title: "old" })], next: "" }));
  const { desk } = deskOf({ listJobs });
  const container = render(<JobsPage onPresetsAgain={() => undefined} />, desk);
  act(() => {
    desk.store.put(jobOf({ id: idOf(2), title: "new" }));
    desk.store.listRead({ status: "ready", next: "cursor" });
  });
  const older = Array.from(container.querySelectorAll("button")).find((b) => b.textContent === "Show older jobs");
  await act(async () => {
    older?.click();
    await Promise.resolve();
  });
  expect(listJobs).toHaveBeenCalledWith({ limit: 50, before: "cursor" });
  expect(titles(container)).toEqual(["new", "old"]);
  expect(container.textContent).not.toContain("Show older jobs");
});

test("start and end are announced, and no percent in between", async () => {
  const { desk } = deskOf();
  const container = render(<Announcer />, desk);
  const said = new Set<string>();
  const listen = new MutationObserver(() => said.add(container.textContent));
  listen.observe(container, { subtree: true, childList: true, characterData: true });
  for (const [version, state, progress] of [
    [1, "queued", 0],
    [2, "running", 0],
    [3, "running", 0.5],
    [4, "running", 0.9],
    [5, "succeeded", 1],
  ] as const) {
    await act(async () => {
      desk.store.put(jobOf({ version, state, progress }));
      await Promise.resolve();
    });
  }
  listen.disconnect();
  expect([...said]).toEqual(["clip.mov has started.", "clip.mov: finished."]);
});

import { act } from "react";
import { expect, test, vi } from "vitest";
import { Announcer } from "../components/announcer";
import { button, click, deskOf, idOf, jobOf, noon, render } from "../testing";
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
  const older = Array.from(container.querySelectorAll("button")).find((b) => b.textContent === "Show more");
  await act(async () => {
    older?.click();
    await Promise.resolve();
  });
  expect(listJobs).toHaveBeenCalledWith({ limit: 50, before: "cursor" });
  expect(titles(container)).toEqual(["new", "old"]);
  expect(container.textContent).not.toContain("Show more");
});

test("the address says which jobs are shown, and the server is asked for the others of them", async () => {
  history.replaceState(null, "", "/?show=failed&text=CL");
  const old = jobOf({ id: idOf(1), title: "old clip", state: "failed", finished_at: noon });
  const listJobs = vi.fn(() => Promise.resolve({ jobs: [old], next: "" }));
  const { desk } = deskOf({ listJobs });
  act(() => {
    desk.store.put(jobOf({ id: idOf(2), title: "clip", state: "failed", finished_at: noon }));
    desk.store.put(jobOf({ id: idOf(3), title: "film", state: "failed", finished_at: noon }));
    desk.store.put(jobOf({ id: idOf(4), title: "clip under way" }));
    desk.store.listRead({ status: "ready", next: idOf(2) });
  });
  const container = render(<JobsPage onPresetsAgain={() => undefined} />, desk);
  await act(() => Promise.resolve());
  expect(listJobs).toHaveBeenCalledWith({ state: "failed", text: "CL", limit: 50 });
  expect(titles(container)).toEqual(["clip", "old clip"]);
  await click(button(container, "Show all"));
  expect(location.pathname + location.search).toBe("/");
  // The old one is behind a page that has not been read, so there is more between.
  expect(titles(container)).toEqual(["clip under way", "film", "clip"]);
  act(() => {
    history.back();
    window.dispatchEvent(new Event("popstate"));
  });
  history.replaceState(null, "", "/");
});

test("a filter that nothing fits says so, and the way out", async () => {
  history.replaceState(null, "", "/?show=failed&kind=export");
  const { desk } = deskOf({ listJobs: () => Promise.resolve({ jobs: [], next: "" }) });
  act(() => {
    desk.store.put(jobOf());
    desk.store.listRead({ status: "ready", next: "" });
  });
  const container = render(<JobsPage onPresetsAgain={() => undefined} />, desk);
  await act(() => Promise.resolve());
  expect(container.textContent).toContain("There is no job that has failed");
  await click(button(container, "Show all jobs"));
  expect(titles(container)).toEqual(["clip.mov"]);
});

test("of a thousand jobs, no more are on the page than were asked for", async () => {
  const { desk } = deskOf();
  act(() => {
    for (let n = 1; n <= 1000; n++) desk.store.put(jobOf({ id: idOf(n), title: `job ${String(n)}` }));
    desk.store.listRead({ status: "ready", next: "" });
  });
  const container = render(<JobsPage onPresetsAgain={() => undefined} />, desk);
  expect(titles(container)).toHaveLength(30);
  expect(container.textContent).toContain("Under way 1000");
  await click(button(container, "Show more"));
  expect(titles(container)).toHaveLength(60);
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

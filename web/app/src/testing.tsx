import type { Estimate, HeraldClient, Job, Step } from "@herald/client";
import { act, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { onTestFinished, vi } from "vitest";
import { Clock } from "./clock";
import { type Desk, DeskContext } from "./desk";
import { Live, type StreamHandlers } from "./live";
import { News } from "./news";
import { JobStore } from "./store";
import { Uploads } from "./uploads";

/** The moment at which the tests' jobs live. */
export const noon = "2026-01-02T12:00:00Z";

/** An instant so many milliseconds after noon. */
export function after(ms: number): string {
  return new Date(Date.parse(noon) + ms).toISOString();
}

/** The id of the nth job; a later one sorts after an earlier one. */
export function idOf(n: number): string {
  return `019b7e5c-0000-7000-8000-${String(n).padStart(12, "0")}`;
}

/** A running video job in its transcode step, changed as the test needs it. */
export function jobOf(change: Partial<Job> = {}): Job {
  return {
    id: idOf(1),
    kind: "video",
    owner: "demo",
    title: "clip.mov",
    state: "running",
    stalled: false,
    attempt: 1,
    max_attempts: 3,
    version: 5,
    progress: 0.46,
    step: "transcode",
    steps: steps(),
    processed: 1200,
    total: 4800,
    unit: "frames",
    message: "",
    remaining_ms: 12_000,
    details: { fps: 118.2, speed: 4.81 },
    error: "",
    retry_at: null,
    result: null,
    args: { source: { test: { seconds: 20 } }, preset: "mp4-720p" },
    external: false,
    worker: "w1",
    lease_ms: null,
    cancel_asked_at: null,
    estimate: estimate({ low_ms: 12_000, high_ms: 18_000 }),
    created_at: after(-10_000),
    started_at: after(-9_000),
    attempt_started_at: after(-9_000),
    heartbeat_at: noon,
    updated_at: noon,
    finished_at: null,
    ...change,
  };
}

/** An estimate that knows what the test says. */
export function estimate(known: Partial<Estimate> = {}): Estimate {
  return {
    low_ms: null,
    high_ms: null,
    usual_low_ms: null,
    usual_high_ms: null,
    usual_slow_ms: null,
    percentile: 0,
    ...known,
  };
}

function steps(): Step[] {
  return [
    { name: "probe", weight: 1, started_at: after(-9_000), finished_at: after(-8_600) },
    { name: "transcode", weight: 90, started_at: after(-8_600) },
    { name: "thumbnails", weight: 6 },
    { name: "store", weight: 3 },
  ];
}

/** A store that tells its listeners when the test says so. */
export function steppedStore(): { store: JobStore; flush: () => void } {
  let due: (() => void) | undefined;
  const store = new JobStore((run) => {
    due = run;
  });
  return {
    store,
    flush: () => {
      const run = due;
      due = undefined;
      run?.();
    },
  };
}

/** A desk whose stream the test speaks for, and whose calls it answers. */
export function deskOf(calls: Partial<HeraldClient> = {}): {
  desk: Desk;
  stream: StreamHandlers;
  /** Those that are open besides, by what they follow. */
  others: ReadonlyMap<string, StreamHandlers>;
} {
  const client = calls as HeraldClient;
  const store = new JobStore((flush) => {
    flush();
  });
  const clock = new Clock();
  const uploads = new Uploads(client, store.put.bind(store));
  const streams = new Map<string, StreamHandlers>();
  const live = new Live(client, store, clock, vi.fn(), (handlers, topics = []) => {
    streams.set(topics.join(), handlers);
    return { close: () => streams.delete(topics.join()) };
  });
  const news = new News(client, "demo", { visible: () => true, seen: () => false, tell: vi.fn() });
  live.open();
  const stream = streams.get("");
  if (stream === undefined) throw new Error("no stream was opened");
  return { desk: { client, clock, store, uploads, live, news }, stream, others: streams };
}

/** Puts an element on the page for the length of the test. */
export function render(element: ReactElement, desk = deskOf().desk): HTMLElement {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  const container = document.body.appendChild(document.createElement("div"));
  const root = createRoot(container);
  act(() => {
    root.render(<DeskContext value={desk}>{element}</DeskContext>);
  });
  onTestFinished(() => {
    act(() => {
      root.unmount();
    });
    container.remove();
  });
  return container;
}

/** The button with the name, which its label or its text gives. */
export function button(container: HTMLElement, name: string): HTMLButtonElement {
  const found = Array.from(container.querySelectorAll("button")).find(
    (b) => (b.getAttribute("aria-label") ?? b.textContent).trim() === name,
  );
  if (found === undefined) throw new Error(`no button ${name} in ${container.innerHTML}`);
  return found;
}

/** Clicks, and waits until the page has followed. */
export async function click(element: HTMLElement): Promise<void> {
  await act(async () => {
    element.click();
    await Promise.resolve();
  });
}

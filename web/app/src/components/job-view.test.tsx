import type { Job, StreamState } from "@herald/client";
import { describe, expect, test, vi } from "vitest";
import { after, click, button, deskOf, estimate, jobOf, noon, render } from "../testing";
import { JobView } from "./job-view";

/** Shows the job as it is some milliseconds after noon, and returns its words. */
function textOf(job: Job, at = 0, connection: StreamState = "live"): string {
  vi.useFakeTimers({ now: Date.parse(noon) + at, toFake: ["Date"] });
  const { desk, stream } = deskOf();
  stream.onState(connection);
  const view = <JobView job={job} heading={<h3>{job.title}</h3>} open={false} onOpen={() => undefined} />;
  const container = render(view, desk);
  vi.useRealTimers();
  return container.textContent.replaceAll("\u00a0", " ");
}

describe("a running job", () => {
  test("tells how far it is, how fast, and how long still", () => {
    const text = textOf(jobOf());
    for (const words of [
      "46 %",
      "Running for 9 s",
      "4.8×",
      "118 fps",
      "1,200 of 4,800 frames",
      "10 to 20 s left",
      "0.4 s",
    ]) {
      expect(text).toContain(words);
    }
    expect(text).not.toContain("attempt");
    expect(text).not.toContain("updated");
  });

  test("tells which attempt it is from the second on", () => {
    expect(textOf(jobOf({ attempt: 2 }))).toContain("attempt 2 of 3");
  });

  test("tells how old its last report is once that is not fresh", () => {
    expect(textOf(jobOf(), 3000)).not.toContain("updated");
    expect(textOf(jobOf(), 4000)).toContain("updated 4 s ago");
  });

  test("tells what is usual, and when it is slower than that", () => {
    const usual = jobOf({
      estimate: estimate({
        low_ms: 100_000,
        high_ms: 200_000,
        usual_low_ms: 190_000,
        usual_high_ms: 290_000,
        usual_slow_ms: 300_000,
      }),
    });
    expect(textOf(usual)).toContain("usually 3 to 5 min · 1 to 4 min left".replaceAll(" · ", "·"));
    expect(textOf(usual, 291_500)).toContain("slower than 95 % of such jobs·longer than expected");
  });

  test("promises nothing while the page is cut off", () => {
    expect(textOf(jobOf(), 1000)).toContain("left");
    expect(textOf(jobOf(), 1000, "reconnecting")).not.toContain("left");
  });

  test("says that nothing is heard of its worker", () => {
    const text = textOf(jobOf({ stalled: true, heartbeat_at: after(-45_000) }));
    expect(text).toContain("No word from the worker for 45 s");
    expect(text).not.toContain("left");
  });

  test("shows a count that has outgrown its estimate as it is", () => {
    expect(textOf(jobOf({ processed: 4900 }))).toContain("4,900 of 4,900 frames");
  });
});

test("a job that is asked to stop tells for how long", () => {
  const text = textOf(jobOf({ state: "cancelling", cancel_asked_at: after(-12_000), external: true }));
  expect(text).toContain("Stopping, asked to 12 s ago");
  expect(text).toContain("Its worker is asked to stop.");
});

test("a queued job shows no number, since nothing is known", () => {
  const text = textOf(
    jobOf({ state: "queued", attempt: 0, steps: [], progress: 0, processed: null, started_at: null }),
  );
  expect(text).toContain("Waiting for a worker, 10 s");
  expect(text).not.toContain("%");
});

test("a retrying job tells why and when", () => {
  const text = textOf(jobOf({ state: "retrying", error: "ffmpeg was killed", retry_at: after(28_000) }));
  expect(text).toContain("Attempt 1 of 3 failed");
  expect(text).toContain("ffmpeg was killed");
  expect(text).toContain("Next try in 0:28");
});

test("a failed job shows the whole error", () => {
  const error = "ffprobe could not read the file:\nmoov atom not found";
  const text = textOf(jobOf({ state: "failed", error, finished_at: noon }), 5000);
  expect(text).toContain(error);
  expect(text).toContain("Failed 5 s ago");
  expect(text).not.toContain("%");
});

describe("what can be done", () => {
  function actions(job: Job, calls: Parameters<typeof deskOf>[0] = {}) {
    const { desk } = deskOf(calls);
    const container = render(<JobView job={job} heading={job.title} open={false} onOpen={() => undefined} />, desk);
    return { desk, container };
  }

  test("cancelling asks the server, whose answer is shown", async () => {
    const cancelling = jobOf({ state: "cancelling", version: 6 });
    const cancelJob = vi.fn(() => Promise.resolve(cancelling));
    const { desk, container } = actions(jobOf(), { cancelJob });
    await click(button(container, "Cancel clip.mov"));
    expect(cancelJob).toHaveBeenCalledWith(jobOf().id);
    expect(desk.store.job(jobOf().id)).toEqual(cancelling);
  });

  test("a job that stops already cannot be cancelled, and the button says why", async () => {
    const cancelJob = vi.fn();
    const { container } = actions(jobOf({ state: "cancelling" }), { cancelJob });
    const cancel = button(container, "Cancel clip.mov");
    await click(cancel);
    expect(cancelJob).not.toHaveBeenCalled();
    expect(cancel.getAttribute("aria-disabled")).toBe("true");
    const why = document.getElementById(cancel.getAttribute("aria-describedby") ?? "");
    expect(why?.textContent).toBe("It is stopping already.");
  });

  test("deleting asks first", async () => {
    const deleteJob = vi.fn(() => Promise.resolve());
    const { desk, container } = actions(jobOf({ state: "cancelled", finished_at: noon }), { deleteJob });
    desk.store.put(jobOf());
    await click(button(container, "Delete clip.mov"));
    expect(deleteJob).not.toHaveBeenCalled();
    await click(button(container, "Keep"));
    await click(button(container, "Delete clip.mov"));
    await click(button(container, "Delete"));
    expect(deleteJob).toHaveBeenCalledOnce();
    expect(desk.store.job(jobOf().id)).toBeUndefined();
  });

  test("a refusal is told", async () => {
    const retryJob = vi.fn(() => Promise.reject(new TypeError("network")));
    const { container } = actions(jobOf({ state: "failed", finished_at: noon }), { retryJob });
    await click(button(container, "Retry clip.mov"));
    expect(container.querySelector("[role=alert]")?.textContent).toBe("Herald cannot be reached.");
  });
});

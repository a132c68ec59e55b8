import type { Job, JobKind, StreamState } from "@herald/client";
import { act } from "react";
import { describe, expect, test, vi } from "vitest";
import { SessionContext } from "../desk";
import { after, click, button, deskOf, estimate, idOf, jobOf, noon, render } from "../testing";
import { JobView } from "./job-view";
import { nothingYet, PresetsContext } from "./presets";

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
  expect(text).toContain("Stopping, cancel requested 12 s ago");
  expect(text).toContain("stops at the next safe point");
});

test("a job is not shown to be done before its success is recorded", () => {
  const text = textOf(jobOf({ progress: 1 }));
  expect(text).toContain("99 %");
  expect(text).toContain("finishing");
  expect(text).not.toContain("100 %");
});

test("of many steps, the one under way has a name", () => {
  const steps = Array.from({ length: 12 }, (_, i) => ({
    name: `part ${String(i + 1)}`,
    weight: 1,
    ...(i < 3 ? { started_at: after(-9000), finished_at: after(-8000) } : i === 3 ? { started_at: after(-8000) } : {}),
  }));
  expect(textOf(jobOf({ kind: "build", steps, step: "part 4" }))).toContain("Step 4 of 12: Part 4");
});

test("a job without a plan tells its step, its count and what it says", () => {
  const text = textOf(
    jobOf({ kind: "import", steps: [], step: "rows", processed: 412, total: 900, unit: "rows", message: "order 77" }),
  );
  expect(text).toContain("Rows");
  expect(text).toContain("412 of 900 rows·order 77");
});

test("files that are no longer kept are not offered", () => {
  const result = {
    artifacts: [{ id: "a", kind: "video", name: "clip.mp4", url: "/api/artifacts/a/clip.mp4", size: 1 }],
  };
  const text = textOf(
    jobOf({ state: "succeeded", progress: 1, finished_at: noon, result, artifacts_expired_at: noon }),
  );
  expect(text).toContain("Its files are no longer kept.");
  expect(text).not.toContain("Download");
});

test("a queued job shows no number, since nothing is known", () => {
  const text = textOf(
    jobOf({ state: "queued", attempt: 0, steps: [], progress: 0, processed: null, started_at: null }),
  );
  expect(text).toContain("Waiting for a worker, 10 s");
  expect(text).not.toContain("%");
});

test("a job that runs without a word of how far it is shows movement, and no number", () => {
  const silent = jobOf({ kind: "command", steps: [], progress: 0, processed: null, message: "compiling" });
  const { desk } = deskOf();
  const container = render(<JobView job={silent} heading="make" open={false} onOpen={() => undefined} />, desk);
  expect(container.textContent).toContain("compiling");
  expect(container.textContent).not.toContain("%");
  expect(container.querySelector("[role=progressbar]")?.hasAttribute("aria-valuenow")).toBe(false);
  expect(textOf({ ...silent, processed: 0, total: 900 })).toContain("0 %");
});

test("how long it took stands beside when it ended", () => {
  const text = textOf(jobOf({ kind: "import", state: "succeeded", progress: 1, result: {}, finished_at: noon }), 5000);
  expect(text).toContain("Finished 5 s ago, took 9.0 s");
});

test("a retrying job tells why and when", () => {
  const text = textOf(jobOf({ state: "retrying", error: "ffmpeg was killed", retry_at: after(28_000) }));
  expect(text).toContain("Attempt 1 of 3 failed");
  expect(text).toContain("ffmpeg was killed");
  expect(text).toContain("Attempt 2 of 3, next try in 0:28");
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

  test("a cancel shows at once, and is taken back when it is refused", async () => {
    let refuse: (err: Error) => void = () => undefined;
    const cancelJob = vi.fn(() => new Promise<Job>((_, reject) => (refuse = reject)));
    const { desk, container } = actions(jobOf(), { cancelJob });
    desk.store.put(jobOf());
    await click(button(container, "Cancel clip.mov"));
    expect(desk.store.job(jobOf().id)?.state).toBe("cancelling");
    desk.store.move(jobOf({ version: 6, progress: 0.5 }));
    expect(desk.store.job(jobOf().id)).toMatchObject({ state: "cancelling", progress: 0.5 });
    await act(async () => {
      refuse(new TypeError("network"));
      await Promise.resolve();
    });
    expect(desk.store.job(jobOf().id)?.state).toBe("running");
    expect(container.querySelector("[role=alert]")?.textContent).toBe("Herald cannot be reached.");
  });

  test("only its owner can change a job, and the button says so", async () => {
    const cancelJob = vi.fn();
    const { desk } = deskOf({ cancelJob });
    const session = { user: "sue", roles: ["support"], expires_at: noon };
    const view = <JobView job={jobOf()} heading="clip.mov" open={false} onOpen={() => undefined} />;
    const container = render(<SessionContext value={session}>{view}</SessionContext>, desk);
    await click(button(container, "Cancel clip.mov"));
    expect(cancelJob).not.toHaveBeenCalled();
    expect(container.querySelector("[role=tooltip]")?.textContent).toBe("Only its owner can cancel it.");
  });

  test("a job is run again with what it was started with, and gone to", async () => {
    const startJob = vi.fn(() => Promise.resolve(jobOf({ id: idOf(2), state: "queued", version: 1 })));
    const { desk } = deskOf({ startJob });
    const job = jobOf({ state: "failed", finished_at: noon });
    const presets = { ...nothingYet, status: "ready" as const, kinds: [{ name: "video" } as JobKind] };
    const view = <JobView job={job} heading="clip.mov" open full onOpen={() => undefined} />;
    const container = render(<PresetsContext value={presets}>{view}</PresetsContext>, desk);
    await click(button(container, "Run again clip.mov"));
    expect(startJob).toHaveBeenCalledExactlyOnceWith({ kind: "video", title: "clip.mov", args: job.args });
    expect(location.pathname).toBe(`/jobs/${idOf(2)}`);
    expect(desk.store.job(idOf(2))?.state).toBe("queued");
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

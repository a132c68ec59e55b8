import { type HeraldClient, HeraldError, type Job, type LogEvent } from "@herald/client";
import { act } from "react";
import { expect, onTestFinished, test, vi } from "vitest";
import { SessionContext } from "../desk";
import { after, button, click, deskOf, jobOf, noon, render } from "../testing";
import { JobPage } from "./job";

const nothing = { events: [], next: "", floor: 0 };

/** A desk whose server knows the job, or refuses, and a page that waits for what it loads lazily. */
async function open(
  answer: Job | Error,
  calls: Parameters<typeof deskOf>[0] = {},
  { connected = true, known }: { connected?: boolean; known?: Job } = {},
) {
  const job = vi.fn(() => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)));
  const { desk, stream } = deskOf({
    job,
    jobEvents: () => Promise.resolve(nothing),
    jobCurve: () => Promise.resolve({ points: [] }),
    jobArtifacts: () => Promise.resolve({ artifacts: [] }),
    ...calls,
  });
  if (connected) stream.onState("live");
  if (known !== undefined) desk.store.put(known);
  const container = render(<JobPage id={jobOf().id} />, desk);
  await settle();
  return { container, desk, stream, job };
}

async function settle(): Promise<void> {
  await act(() => vi.dynamicImportSettled());
}

function problem(status: number): HeraldError {
  return new HeraldError({ type: "", title: "Problem", status, detail: "It is broken." });
}

test("a job that is not there, or not the reader's, is said not to be", async () => {
  const { container } = await open(problem(404));
  expect(container.textContent).toContain("There is no such job");
  expect(container.textContent).toContain("belongs to somebody else");
  expect(container.querySelector("a[href='/']")).not.toBeNull();
});

test("a job that is deleted while one looks at it is said to be gone", async () => {
  const { container, desk } = await open(jobOf());
  expect(container.querySelector("h1")?.textContent).toBe("clip.mov");
  act(() => {
    desk.store.remove(jobOf().id);
  });
  expect(container.textContent).toContain("There is no such job");
});

test("a failure offers another try, which succeeds", async () => {
  const { container, job } = await open(problem(503));
  expect(container.textContent).toContain("The job could not be read");
  expect(container.textContent).toContain("It is broken.");
  job.mockResolvedValue(jobOf());
  await click(button(container, "Try again"));
  await settle();
  expect(container.querySelector("h1")?.textContent).toBe("clip.mov");
});

test("somebody else's job is followed while one looks at it, and one's own is not followed twice", async () => {
  const answers: Partial<HeraldClient> = {
    job: () => Promise.resolve(jobOf({ owner: "alice" })),
    jobEvents: () => Promise.resolve(nothing),
    jobCurve: () => Promise.resolve({ points: [] }),
    jobArtifacts: () => Promise.resolve({ artifacts: [] }),
  };
  const { desk, stream, others } = deskOf(answers);
  stream.onState("live");
  const pageOf = (user: string) => (
    <SessionContext value={{ user, roles: ["support"], expires_at: noon }}>
      <JobPage id={jobOf().id} />
    </SessionContext>
  );
  const container = render(pageOf("sue"), desk);
  await settle();
  const topic = `job:${jobOf().id}`;
  act(() => {
    others
      .get(topic)
      ?.onEvent({ type: "job.progress", seq: 9, id: "e", time: noon, data: jobOf({ version: 6, progress: 0.75 }) });
  });
  expect(container.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("75");
  const own = deskOf({ ...answers, job: () => Promise.resolve(jobOf({ owner: "sue" })) });
  own.stream.onState("live");
  render(pageOf("sue"), own.desk);
  await settle();
  expect(own.others.has(topic)).toBe(false);
});

test("a page that was opened offline shows its job when there is a connection", async () => {
  const { container, stream, job } = await open(new TypeError("network"), {}, { connected: false });
  act(() => {
    stream.onState("offline");
  });
  expect(container.textContent).toContain("You are offline");
  job.mockResolvedValue(jobOf());
  act(() => {
    stream.onState("live");
  });
  await settle();
  expect(container.querySelector("h1")?.textContent).toBe("clip.mov");
});

test("a job that is known is read anew where no stream keeps it true", async () => {
  const ended = jobOf({ version: 9, state: "failed", finished_at: noon });
  const { container } = await open(ended, {}, { connected: false, known: jobOf() });
  expect(container.querySelector("article")?.dataset["state"]).toBe("failed");
});

function told(seq: number, type: string, data: object): LogEvent {
  return { seq, id: String(seq), type, time: after(seq * 1000), data: { attempt: 1, ...data } };
}

test("a job without a plan shows the steps that its log tells of, and what was said", async () => {
  const events = [
    told(1, "job.started", { worker: "w1" }),
    told(2, "job.step", { step: "fetch" }),
    told(5, "job.step", { step: "sort" }),
    told(6, "job.message", { message: "row 12" }),
  ].reverse();
  const running = jobOf({ kind: "import", steps: [], step: "sort", external: true, args: {} });
  const { container } = await open(running, { jobEvents: () => Promise.resolve({ ...nothing, events }) });
  const steps = Array.from(container.querySelectorAll("[aria-label=Steps] li"));
  expect(steps.map((s) => [s.getAttribute("aria-current"), s.textContent.includes("3.0")])).toEqual([
    [null, true],
    ["step", false],
  ]);
  const attempt = container.querySelector("[aria-label='Attempt 1']");
  expect(attempt?.textContent).toContain("under way");
  expect(attempt?.textContent).toContain("Worker w1");
  expect(attempt?.textContent).toContain("row 12");
});

test("the line grows with what the stream says, and tells where it is in words", async () => {
  vi.useFakeTimers({ now: Date.parse(noon), toFake: ["Date"] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const points = [{ seq: 3, time: after(-4000), attempt: 1, progress: 0.2 }];
  const { container, stream } = await open(jobOf(), { jobCurve: () => Promise.resolve({ points }) });
  const drawing = () =>
    container.querySelector("figure [role=img]")?.getAttribute("aria-label")?.replaceAll("\u00a0", " ");
  expect(drawing()).toContain("attempt 1: 20 % after 5.0 s");
  act(() => {
    stream.onEvent({ type: "job.progress", seq: 9, id: "e", time: noon, data: jobOf({ version: 6, progress: 0.5 }) });
  });
  expect(drawing()).toContain("attempt 1: 50 % after 9.0 s; expected to end in");
  expect(container.querySelector("figcaption")?.textContent).toMatch(/^Expected end between .+ and /);
  expect(
    Array.from(container.querySelectorAll("tbody tr")).map((r) => r.textContent.replaceAll("\u00a0", " ")),
  ).toEqual([...["15.0 s20 %", "19.0 s50 %"]]);
});

test("what a job of another kind has come to stands there as JSON, as text", async () => {
  const result = { rows: 12, note: "<img src=x onerror=alert(1)>" };
  const { container } = await open(
    jobOf({ kind: "import", state: "succeeded", progress: 1, finished_at: noon, result }),
  );
  const json = container.querySelector("pre[aria-label=Result]");
  expect(JSON.parse(json?.textContent ?? "")).toEqual(result);
  expect(container.querySelector("img")).toBeNull();
});

import { type Answer, type ask, problemIn } from "./api";

/** What is to become of a demo job. */
export type Fate = "succeed" | "fail" | "stall" | "retry";

/** How a demo job ends. */
export type End = "succeeded" | "failed" | "cancelled";

/** How many reports an attempt makes, and after how many milliseconds each. */
export interface Pace {
  readonly reports: number;
  readonly every: number;
}

/** Told of what happens on the way. */
export interface DemoWorkerEvents {
  onAttempt(attempt: number): void;
  onStalled(): void;
  onRetrying(): void;
}

/** The plan of a demo job. */
export const steps = [
  { name: "fetch", weight: 1 },
  { name: "convert", weight: 3 },
  { name: "store", weight: 1 },
];
const total = 2400;
const error = "The demo wants this job to fail.";

/** A stalled job has promised its next word within that time, and is silent for the other. */
const promiseMs = 500;
const silenceMs = 4000;
/** A request of ours is answered within that time, or is of no more use. */
export const askTimeout = 15_000;

/** DemoWorker is the worker of one job that runs elsewhere: here. It works until the signal, and then ends the job. */
export class DemoWorker {
  /** Somebody else has ended the job, or its attempt. */
  #over = false;

  constructor(
    private readonly ask_: typeof ask,
    private readonly id: string,
    private readonly pace: Pace,
    private readonly stopped: AbortSignal,
    private readonly on: DemoWorkerEvents,
  ) {}

  /** Works the job, whose first attempt has begun, and says how it has ended. */
  async work(fate: Fate): Promise<End> {
    const end = await this.#attempt(1, fate);
    if (end !== undefined) return end;
    this.on.onRetrying();
    await wait(this.pace.every, this.stopped);
    const claimed = (await this.#post("attempts", { steps })) as { attempt: number };
    this.on.onAttempt(claimed.attempt);
    return (await this.#attempt(claimed.attempt, "succeed")) ?? "failed";
  }

  /** How the job has ended with the attempt; undefined when it wants another one. */
  async #attempt(attempt: number, fate: Fate): Promise<End | undefined> {
    const { reports, every } = this.pace;
    const middle = Math.ceil(reports / 2);
    for (let i = 1; i <= reports; i++) {
      await wait(every, this.stopped);
      if (this.stopped.aborted) return this.#finish({ attempt, state: "cancelled" }, "cancelled");
      if (i === middle && fate === "fail") return this.#finish({ attempt, state: "failed", error }, "failed");
      if (i === middle && fate === "retry") {
        await this.#finish({ attempt, state: "retrying", error, retry_at: new Date().toISOString() }, "failed");
        return undefined;
      }
      const stalls = i === middle && fate === "stall";
      await this.#progress(attempt, i / reports, stalls);
      if (this.#over) return "cancelled";
      if (!stalls) continue;
      this.on.onStalled();
      await wait(silenceMs, this.stopped);
    }
    return this.#finish({ attempt, state: "succeeded", result: { frames: total } }, "succeeded");
  }

  async #progress(attempt: number, share: number, stalls: boolean): Promise<void> {
    const step = share <= 0.2 ? "fetch" : share <= 0.8 ? "convert" : "store";
    const said = { attempt, progress: share, step, processed: Math.round(total * share), total, unit: "frames" };
    const job = await this.#report({ ...said, ...(stalls && { next_within_ms: promiseMs }) });
    if (job.state === "cancelling") await this.#report({ attempt, state: "cancelled" });
    this.#over = job.state !== "running" || job.attempt !== attempt;
  }

  async #finish<T>(report: object, end: T): Promise<T> {
    await this.#report(report);
    return end;
  }

  #report(report: object): Promise<{ state: string; attempt: number }> {
    return this.#post("reports", { reports: [report] }) as Promise<{ state: string; attempt: number }>;
  }

  async #post(what: string, body: object): Promise<unknown> {
    const init = { body: JSON.stringify(body), signal: AbortSignal.timeout(askTimeout) };
    return checked(await this.ask_("POST", `/api/jobs/${this.id}/${what}`, init));
  }
}

/** What an answer says; a refusal is an Error for people. */
export function checked(answer: Answer): unknown {
  const problem = problemIn(answer);
  if (problem !== undefined) throw new Error(problem.message);
  return answer.json;
}

/** Waits, at most until the signal. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true || ms <= 0) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

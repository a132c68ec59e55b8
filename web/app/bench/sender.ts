import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";

/** What is to be sent: reports of each job at a steady pace, the first with the message "row 0 is in". */
export interface Order {
  readonly address: string;
  readonly token: string;
  readonly jobs: readonly string[];
  readonly forMs: number;
  /** The time from one report of a job to the next, in milliseconds. */
  readonly every: number;
}

/** What came of it. */
export interface Sent {
  /** How many reports each job got. */
  readonly rounds: readonly number[];
  /** How many of them all are events of the log. */
  readonly logged: number;
}

/** Sender is the workers of the jobs, in a process of their own. */
export class Sender {
  readonly #process: ChildProcess;

  constructor(niceness: number) {
    this.#process = fork(fileURLToPath(new URL("sender.mjs", import.meta.url)), { execArgv: [] });
    setPriority(this.pid, niceness);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Sends all of it, once. The process stays until the end, so that what it has cost can be read. */
  async send(order: Order): Promise<Sent> {
    this.#process.send(order);
    const ended = once(this.#process, "exit").then(() => {
      throw new Error("the sender has ended before its work");
    });
    const [sent] = (await Promise.race([once(this.#process, "message"), ended])) as [Sent];
    ended.catch(() => undefined); // later, it is to
    return sent;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, "exit");
    this.#process.kill();
    await exit;
  }
}

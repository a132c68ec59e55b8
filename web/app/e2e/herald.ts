import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test as base } from "@playwright/test";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../../../bin/herald", import.meta.url));

/** Herald is the real program with a data folder of its own, started and stopped as a person would. */
export class Herald {
  readonly #dataDir: string;
  readonly #port: number;
  readonly #niceness: number;
  #process: ChildProcess | undefined;
  #said = "";
  /** The link that it printed to sign in with. */
  link = "";
  /** The link for a developer. */
  devLink = "";

  private constructor(dataDir: string, port: number, niceness: number) {
    this.#dataDir = dataDir;
    this.#port = port;
    this.#niceness = niceness;
  }

  /**
   * Makes one that has not run yet. With another that has ended, its database is set up already: a copy of that one's.
   * The nicer it is, the more come before it where the processors are not enough for all.
   */
  static async create(like?: Herald, niceness = 0): Promise<Herald> {
    const dataDir = await mkdtemp(join(tmpdir(), "herald-e2e-"));
    await chmod(dataDir, 0o755);
    // Its owner is another user when we are root, which Node's own copies forget.
    if (like !== undefined) await run("cp", ["-a", join(like.#dataDir, "postgres"), dataDir]);
    return new Herald(dataDir, await freePort(), niceness);
  }

  get address(): string {
    return `127.0.0.1:${String(this.#port)}`;
  }

  /** The running program's. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** All that it has said so far, in all its lives. */
  get log(): string {
    return this.#said;
  }

  #environment(): NodeJS.ProcessEnv {
    return { ...process.env, HERALD_DATA_DIR: this.#dataDir, HERALD_ADDR: this.address };
  }

  /** Starts it and waits for the link. */
  async start(...args: string[]): Promise<void> {
    const from = this.#said.length;
    const command = ["-n", String(this.#niceness), program, "up", ...args];
    const started = spawn("nice", command, { env: this.#environment(), stdio: ["ignore", "pipe", "pipe"] });
    this.#process = started;
    await new Promise<void>((resolve, reject) => {
      const hear = (piece: Buffer) => {
        this.#said += piece.toString();
        const said = this.#said.slice(from);
        if (!said.includes("Stop with Ctrl-C")) return;
        this.link = /http\S+\/#token=\S+/.exec(said)?.[0] ?? "";
        this.devLink = /http\S+\/dev#token=\S+/.exec(said)?.[0] ?? "";
        resolve();
      };
      started.stdout.on("data", hear);
      started.stderr.on("data", hear);
      started.on("exit", (code) => {
        reject(new Error(`herald ended with ${String(code)}: ${this.#said.slice(from)}`));
      });
    });
  }

  /** Ends it with the signal and waits for its end. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const running = this.#process;
    if (running?.exitCode !== null || running.signalCode !== null) return;
    const exit = once(running, "exit");
    running.kill(signal);
    await exit;
    this.#process = undefined;
  }

  /** Prints a link that signs somebody else in, for as long as that: "6s", or a day. */
  async linkFor(user: string, role = "user", life = "24h"): Promise<string> {
    const args = ["token", "--link", "--user", user, "--role", role, "--for", life];
    const { stdout } = await run(program, args, { env: this.#environment() });
    return stdout.trim();
  }

  /** Waits until its first clean-up of files has ended, whose events would come among a test's. */
  async cleanedUp(): Promise<void> {
    let log = "";
    while (!/"type":"job.succeeded".*"kind":"cleanup"/.test(log)) {
      await sleep(200);
      log = (await run(program, ["events"], { env: this.#environment() })).stdout;
    }
  }

  /** The command lines of all processes that have to do with this Herald's data folder. */
  async processes(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      const folder = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      if (pid !== String(process.pid) && (command + folder).includes(this.#dataDir)) {
        found.push(command.replaceAll("\0", " "));
      }
    }
    return found;
  }

  async remove(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

/**
 * A port that nobody listens on at the moment. It is still free when Herald starts again: no other worker chooses among
 * these, and the system takes none of them for connections that go out.
 */
export async function freePort(): Promise<number> {
  const first = 20_000 + 100 * Number(process.env["TEST_PARALLEL_INDEX"] ?? 0);
  for (let others = 20; ; others--) {
    const port = first + randomInt(100);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if (others === 0) throw error;
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}

/** A test with a Herald that runs, and ends after it. */
export const test = base.extend<{ herald: Herald; niceness: number; othersLeave: undefined }, { first: Herald }>({
  niceness: [0, { option: true }],
  // The browser outlives the test, and in it each page that the test opened for somebody else: it would look for its
  // Herald from then on.
  othersLeave: [
    async ({ browser, context }, use) => {
      await use(undefined);
      for (const other of browser.contexts()) if (other !== context) await other.close();
    },
    { auto: true },
  ],
  // To set up a database takes longer than all else of a start, so each worker does it once.
  first: [
    // Playwright wants a pattern here.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const first = await Herald.create();
      try {
        await first.start();
        await first.cleanedUp();
        await first.end("SIGTERM");
        await use(first);
      } finally {
        await first.remove();
      }
    },
    { scope: "worker" },
  ],
  herald: async ({ first, niceness }, use, testInfo) => {
    const herald = await Herald.create(first, niceness);
    try {
      await herald.start();
      await use(herald);
      if (testInfo.status !== testInfo.expectedStatus) await writeFile(testInfo.outputPath("herald.log"), herald.log);
    } finally {
      await herald.remove();
    }
  },
});

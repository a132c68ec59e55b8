import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../bin/herald", import.meta.url));

/** Herald is the real program, with a data folder of its own. */
export class Herald {
  readonly #folder = mkdtempSync(join(tmpdir(), "herald-client-"));
  #address = "";
  #process: ChildProcess | undefined;

  /** Starts it, and waits until it answers. */
  static async up(...args: string[]): Promise<Herald> {
    const herald = new Herald();
    chmodSync(herald.#folder, 0o755); // Postgres does not run as root, and has to get in
    herald.#address = `127.0.0.1:${String(await freePort())}`;
    await herald.start(...args);
    return herald;
  }

  get url(): string {
    return `http://${this.#address}`;
  }

  async start(...args: string[]): Promise<void> {
    const env = { ...process.env, HERALD_DATA_DIR: this.#folder, HERALD_ADDR: this.#address };
    const started = spawn(program, ["up", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = started;
    let said = "";
    await new Promise<void>((resolve, reject) => {
      const hear = (piece: Buffer) => {
        said += piece.toString();
        if (said.includes("Stop with Ctrl-C")) resolve();
      };
      started.stdout.on("data", hear);
      started.stderr.on("data", hear);
      started.on("error", reject); // 'make build' makes the program
      started.on("exit", () => {
        reject(new Error(`herald has ended: ${said}`));
      });
    });
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const running = this.#process;
    if (running === undefined) return;
    this.#process = undefined;
    const exit = once(running, "exit");
    running.kill(signal);
    await exit;
  }

  async remove(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A token of the user's. */
  token(user: string, ...args: string[]): string {
    const env = { ...process.env, HERALD_DATA_DIR: this.#folder };
    return execFileSync(program, ["token", "--user", user, ...args], { env })
      .toString()
      .trim();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** A way to the server that can be shut, or lead nowhere, as a network that goes away. */
export class Gate {
  readonly #server: Server;
  /** Each socket that is open, and the one that gets what comes by it. */
  readonly #ways = new Map<Socket, Socket>();
  #open = true;
  /** What is to happen once something gets through again; undefined while it does. */
  #held: (() => void)[] | undefined;

  private constructor(to: string) {
    const [host, port] = to.split(":");
    this.#server = createServer((client) => {
      if (!this.#open) {
        client.destroy();
        return;
      }
      const server = connect(Number(port), host);
      this.#lead(client, server);
      this.#lead(server, client);
    });
  }

  static async to(address: string): Promise<Gate> {
    const gate = new Gate(address);
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  get address(): string {
    return `127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** Cuts what is open, and refuses what comes. */
  shut(): void {
    this.#open = false;
    for (const socket of this.#ways.keys()) socket.destroy();
  }

  reopen(): void {
    this.#open = true;
  }

  /** Lets nothing through from now on, and tells nobody: no end of a connection arrives either. */
  hold(): void {
    this.#held = [];
    for (const [from, to] of this.#ways) from.unpipe(to);
  }

  /** Lets through what was held, late. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const act of held) act();
    for (const [from, to] of this.#ways) from.pipe(to);
  }

  async end(): Promise<void> {
    this.#held = undefined;
    this.shut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #lead(from: Socket, to: Socket): void {
    this.#ways.set(from, to);
    if (this.#held === undefined) from.pipe(to);
    from.on("error", () => undefined); // it is closed after that
    from.on("close", () => {
      this.#ways.delete(from);
      const pass = () => to.destroy();
      if (this.#held === undefined) pass();
      else this.#held.push(pass);
    });
  }
}

import { vi } from "vitest";

/** A connection that the test plays the server of. */
export class Connection {
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;

  constructor(
    readonly url: string,
    readonly headers: Record<string, string>,
    controller: ReadableStreamDefaultController<Uint8Array>,
  ) {
    this.#controller = controller;
  }

  async send(text: string): Promise<void> {
    this.#controller.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(0);
  }

  async open(heartbeat = 15_000, more: object = {}): Promise<void> {
    const data = JSON.stringify({
      client_id: "c",
      heartbeat_ms: heartbeat,
      ack_ms: 0,
      head: 0,
      resumed: false,
      ...more,
    });
    await this.send(`event: stream.open\ndata: ${data}\n\n`);
  }

  async snapshot(seq: number): Promise<void> {
    await this.send(`id: ${String(seq)}\nevent: stream.snapshot\ndata: {"jobs":[]}\n\n`);
  }

  async event(seq: number): Promise<void> {
    const data = JSON.stringify({ seq, type: "job.step", data: {} });
    await this.send(`id: ${String(seq)}\nevent: job.step\ndata: ${data}\n\n`);
  }

  async cut(): Promise<void> {
    this.#controller.error(new TypeError("the connection was cut"));
    await vi.advanceTimersByTimeAsync(0);
  }

  async end(): Promise<void> {
    this.#controller.close();
    await vi.advanceTimersByTimeAsync(0);
  }
}

/** A client's word of how far it has come, and how it came. */
export interface Ack {
  readonly url: string;
  readonly init: RequestInit;
  readonly at: number;
  readonly body: { client_id: string; seq: number; visible: boolean };
}

/** A server that takes connections, or refuses them with a status. */
export class Server {
  readonly connections: Connection[] = [];
  readonly acks: Ack[] = [];
  refuse = 0;
  /** What becomes of an ack. */
  answerAck: () => Response | Promise<Response> = () => new Response(null, { status: 204 });

  readonly fetch = ((url: string, init: RequestInit) => {
    if (init.method === "POST") return this.#takeAck(url, init);
    if (this.refuse > 0) return Promise.resolve(new Response("{}", { status: this.refuse }));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.connections.push(new Connection(url, init.headers as Record<string, string>, controller));
        init.signal?.addEventListener("abort", () => {
          try {
            controller.error(new DOMException("aborted", "AbortError"));
          } catch {
            // It has ended before.
          }
        });
      },
    });
    return Promise.resolve(new Response(body));
  }) as typeof fetch;

  get last(): Connection {
    const last = this.connections.at(-1);
    if (last === undefined) throw new Error("nobody has connected");
    return last;
  }

  async #takeAck(url: string, init: RequestInit): Promise<Response> {
    const body = JSON.parse(init.body as string) as Ack["body"];
    this.acks.push({ url, init, at: Date.now(), body });
    const aborted = new Promise<never>((_, reject) => {
      init.signal?.addEventListener("abort", () => {
        reject(init.signal?.reason as Error);
      });
    });
    return Promise.race([this.answerAck(), aborted]);
  }
}

/** A browser's page, as far as a stream looks at it. */
export function stubPage() {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const navigator = { onLine: true };
  vi.stubGlobal("window", window);
  vi.stubGlobal("document", document);
  vi.stubGlobal("navigator", navigator);
  const fire = async (target: EventTarget, type: string) => {
    target.dispatchEvent(new Event(type));
    await vi.advanceTimersByTimeAsync(0);
  };
  return {
    setOnline: (onLine: boolean) => {
      navigator.onLine = onLine;
      return fire(window, onLine ? "online" : "offline");
    },
    setVisible: (visible: boolean) => {
      document.visibilityState = visible ? "visible" : "hidden";
      return fire(document, "visibilitychange");
    },
    show: () => fire(window, "pageshow"),
    leave: () => fire(window, "pagehide"),
    freeze: () => fire(document, "freeze"),
    resume: () => fire(document, "resume"),
  };
}

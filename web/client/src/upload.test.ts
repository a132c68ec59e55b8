import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HeraldClient } from "./client.js";

/** A request that the test plays the network and the server of. */
class FakeRequest extends EventTarget {
  static last: FakeRequest;
  readonly upload = new EventTarget();
  readonly headers: Record<string, string> = {};
  readonly sent: Promise<unknown>;
  address = "";
  body: unknown;
  status = 0;
  responseText = "";

  #send!: (body: unknown) => void;

  constructor() {
    super();
    this.sent = new Promise((resolve) => {
      this.#send = resolve;
    });
    FakeRequest.last = this;
  }

  open(method: string, url: string): void {
    this.address = `${method} ${url}`;
  }

  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }

  send(body: unknown): void {
    this.body = body;
    this.#send(body);
  }

  abort(): void {
    this.dispatchEvent(new Event("abort"));
  }

  progress(loaded: number, total: number): void {
    this.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded, total }));
  }

  answer(status: number, text: string): void {
    this.status = status;
    this.responseText = text;
    this.dispatchEvent(new Event("load"));
  }
}

const file = new File(["moving pictures"], "Urlaub & Meer.mov", { type: "video/quicktime" });

beforeEach(() => {
  vi.stubGlobal("XMLHttpRequest", FakeRequest);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Starts an upload and waits until it is on its way. */
async function start(options: Parameters<HeraldClient["upload"]>[1] = {}, sent = file) {
  const uploaded = new HeraldClient({ token: () => "t0k3n" }).upload(sent, options);
  uploaded.catch(() => undefined);
  expect(await FakeRequest.last.sent).toBe(sent);
  return { uploaded, request: FakeRequest.last };
}

test("a file is sent by its name and type, and becomes an artifact", async () => {
  const { uploaded, request } = await start();
  expect(request.address).toBe("POST /api/uploads?name=Urlaub%20%26%20Meer.mov");
  expect(request.headers).toEqual({ authorization: "Bearer t0k3n", "content-type": "video/quicktime" });
  request.answer(201, '{"id":"a1","kind":"upload"}');
  await expect(uploaded).resolves.toEqual({ id: "a1", kind: "upload" });
});

test("a file of no known type is sent as bytes", async () => {
  const { request } = await start({}, new File(["?"], "clip"));
  expect(request.headers["content-type"]).toBe("application/octet-stream");
});

test("it tells how far it is", async () => {
  const seen: unknown[] = [];
  const { request } = await start({ onProgress: (progress) => seen.push(progress) });
  request.progress(5, 15);
  request.progress(15, 15);
  expect(seen).toEqual([
    { loaded: 5, total: 15 },
    { loaded: 15, total: 15 },
  ]);
});

test("a file over the limit is refused with what the server says", async () => {
  const { uploaded, request } = await start();
  request.answer(413, '{"type":"/problems/too-large","title":"The file is too large","status":413}');
  await expect(uploaded).rejects.toMatchObject({ status: 413, message: "The file is too large" });
});

test("an upload that is cut off, or answered by nobody of ours, fails", async () => {
  const cut = await start();
  cut.request.dispatchEvent(new Event("error"));
  await expect(cut.uploaded).rejects.toThrow("the upload was cut off");
  const mangled = await start();
  mangled.request.answer(201, "<html>");
  await expect(mangled.uploaded).rejects.toThrow(SyntaxError);
});

test("it stops when its signal says so, for the signal's reason", async () => {
  const stop = new AbortController();
  const { uploaded } = await start({ signal: stop.signal });
  const reason = new Error("changed my mind");
  stop.abort(reason);
  await expect(uploaded).rejects.toBe(reason);
});

test("stopped before it began, it sends nothing", async () => {
  const reason = new Error("changed my mind");
  const uploaded = new HeraldClient().upload(file, { signal: AbortSignal.abort(reason) });
  await expect(uploaded).rejects.toBe(reason);
  expect(FakeRequest.last.body).toBeUndefined();
});

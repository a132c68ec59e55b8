import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HeraldClient } from "./client.js";

/** A server that keeps uploads as Herald does, and a network that the test cuts. */
class FakeServer {
  readonly uploads = new Map<string, { received: string; size: number; metadata: string }>();
  readonly log: string[] = [];
  readonly tokens: string[] = [];
  /** After how many bytes of a piece the line goes dead: once. */
  cutAfter = Infinity;
  online = true;
  /** What the next requests by the method are refused with. */
  readonly refusals: { method: string; status: number; text: string }[] = [];

  async answer(request: FakeRequest): Promise<void> {
    const { method, path, headers } = request;
    await Promise.resolve();
    if (!this.online) {
      request.dispatchEvent(new Event("error"));
      return;
    }
    this.log.push(`${method} ${path}${method === "PATCH" ? ` from ${headers["upload-offset"] ?? ""}` : ""}`);
    this.tokens.push(headers["authorization"] ?? "");
    const refusal = this.refusals.findIndex((r) => r.method === method);
    const [refused] = refusal < 0 ? [] : this.refusals.splice(refusal, 1);
    if (refused !== undefined) {
      request.done(refused.status, refused.text);
      return;
    }
    if (method === "POST") {
      const id = `u${String(this.uploads.size + 1)}`;
      const metadata = headers["upload-metadata"] ?? "";
      this.uploads.set(id, { received: "", size: Number(headers["upload-length"]), metadata });
      request.done(201, "", { location: `/api/uploads/${id}` });
      return;
    }
    const upload = this.uploads.get(path.split("/").pop() ?? "");
    if (upload === undefined) {
      request.done(404, "{}");
      return;
    }
    if (method === "PATCH") {
      const body = await (request.body as Blob).text();
      const arrived = body.slice(0, this.cutAfter);
      if (Number(headers["upload-offset"]) !== upload.received.length) {
        request.done(409, "{}");
        return;
      }
      upload.received += arrived;
      request.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded: arrived.length }));
      if (arrived.length < body.length) {
        this.cutAfter = Infinity;
        request.dispatchEvent(new Event("error"));
        return;
      }
    }
    const whole = upload.received.length === upload.size;
    const text = method === "GET" ? JSON.stringify({ artifact: whole ? { id: "a1", kind: "upload" } : null }) : "";
    request.done(200, text, {
      "upload-offset": String(upload.received.length),
      "upload-length": String(upload.size),
    });
  }
}

let server: FakeServer;

class FakeRequest extends EventTarget {
  readonly upload = new EventTarget();
  readonly headers: Record<string, string> = {};
  method = "";
  path = "";
  body: unknown;
  status = 0;
  responseText = "";
  withCredentials = false;
  #answered: Record<string, string> = {};

  open(method: string, url: string): void {
    this.method = method;
    this.path = url;
  }

  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }

  getResponseHeader(name: string): string | null {
    return this.#answered[name] ?? null;
  }

  send(body: unknown): void {
    this.body = body;
    void server.answer(this);
  }

  abort(): void {
    this.dispatchEvent(new Event("abort"));
  }

  done(status: number, text: string, headers: Record<string, string> = {}): void {
    this.status = status;
    this.responseText = text;
    this.#answered = headers;
    this.dispatchEvent(new Event("load"));
  }
}

const file = new File(["moving pictures"], "Urlaub & Meer.mov", { type: "video/quicktime", lastModified: 1 });

/** A memory such as localStorage. */
function newMemory() {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
}

beforeEach(() => {
  server = new FakeServer();
  vi.stubGlobal("XMLHttpRequest", FakeRequest);
  vi.stubGlobal("window", new EventTarget());
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("a file is sent by its name and type, tells how far it is, and becomes an artifact", async () => {
  const seen: unknown[] = [];
  const begun: string[] = [];
  const artifact = await new HeraldClient({ token: () => "t0k3n" }).upload(file, {
    onProgress: (progress) => seen.push(progress),
    onBegin: (id) => begun.push(id),
  });
  expect(artifact).toEqual({ id: "a1", kind: "upload" });
  expect(begun).toEqual(["u1"]);
  expect(server.uploads.get("u1")).toEqual({
    received: "moving pictures",
    size: 15,
    metadata: `filename ${btoa("Urlaub & Meer.mov")},filetype ${btoa("video/quicktime")}`,
  });
  expect(new Set(server.tokens)).toEqual(new Set(["Bearer t0k3n"]));
  expect(seen.at(0)).toEqual({ loaded: 0, total: 15 });
  expect(seen.at(-1)).toEqual({ loaded: 15, total: 15 });
});

test("what is cut off goes on where it was, and nothing is sent twice", async () => {
  server.cutAfter = 6;
  const waits: (string | undefined)[] = [];
  await new HeraldClient().upload(file, { onWait: (why) => waits.push(why?.message) });
  expect(server.uploads.get("u1")?.received).toBe("moving pictures");
  expect(server.log.filter((l) => l.startsWith("PATCH"))).toEqual([
    "PATCH /api/uploads/u1 from 0",
    "PATCH /api/uploads/u1 from 6",
  ]);
  expect(waits).toEqual([undefined, "the upload was cut off", undefined]);
});

test("while the network is away it waits, and goes on when it is back", async () => {
  server.online = false;
  let tell: (() => void) | undefined;
  const waited = new Promise<void>((resolve) => {
    tell = resolve;
  });
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  const uploaded = new HeraldClient().upload(file, {
    onWait: () => {
      tell?.();
    },
  });
  await waited;
  server.online = true;
  window.dispatchEvent(new Event("online"));
  await expect(uploaded).resolves.toMatchObject({ id: "a1" });
});

test("an upload that was begun is taken up by its file, and forgotten when it is done", async () => {
  const memory = newMemory();
  const stop = new AbortController();
  const reason = new Error("the page was left");
  server.cutAfter = 6;
  const left = new HeraldClient().upload(file, {
    memory,
    signal: stop.signal,
    onWait: (why) => {
      if (why !== undefined) stop.abort(reason);
    },
  });
  await expect(left).rejects.toBe(reason);
  expect([...memory.kept.values()]).toEqual(["u1"]);
  await new HeraldClient().upload(file, { memory });
  expect(server.uploads.size).toBe(1);
  expect(server.log.at(-2)).toBe("PATCH /api/uploads/u1 from 6");
  expect(memory.kept.size).toBe(0);
});

test("one that the server knows no more, or that is another file's, begins anew", async () => {
  server.uploads.set("other", { received: "", size: 99, metadata: "" });
  for (const resume of ["gone", "other"]) {
    const begun: string[] = [];
    await new HeraldClient().upload(file, { resume, onBegin: (id) => begun.push(id) });
    expect(begun).toEqual([resume, expect.stringMatching(/^u\d$/)]);
  }
});

test("a busy or broken server is asked again, and a refusal is final", async () => {
  server.refusals.push({ method: "POST", status: 503, text: "" }, { method: "PATCH", status: 409, text: "{}" });
  await expect(new HeraldClient().upload(file)).resolves.toMatchObject({ id: "a1" });
  const text = '{"type":"/problems/too-large","title":"The file is too large","status":413}';
  server.refusals.push({ method: "POST", status: 413, text });
  await expect(new HeraldClient().upload(file)).rejects.toMatchObject({
    status: 413,
    message: "The file is too large",
  });
});

test("a token that has expired meanwhile is renewed", async () => {
  server.refusals.push({ method: "PATCH", status: 401, text: "{}" });
  await new HeraldClient({ token: (renew) => (renew ? "new" : "old") }).upload(file);
  expect(server.tokens).toContain("Bearer new");
});

test("a checksum goes along", async () => {
  await new HeraldClient().upload(file, { sha256: "abc" });
  expect(server.uploads.get("u1")?.metadata).toContain(`sha256 ${btoa("abc")}`);
});

test("stopped before it began, it sends nothing", async () => {
  const reason = new Error("changed my mind");
  await expect(new HeraldClient().upload(file, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(server.log).toEqual([]);
});

import type { Artifact } from "./wire.js";

/** How an upload is watched, stopped and taken up again. */
export interface UploadOptions {
  readonly onProgress?: (progress: { loaded: number; total: number }) => void;
  /** Stops it. What has arrived stays on the server for a day, so that the upload can be taken up again. */
  readonly signal?: AbortSignal;
  /** The id of an upload that was begun before; by default the one that is remembered of this file. */
  readonly resume?: string | undefined;
  /** Called with the id of the upload, which takes it up again, also after a reload. */
  readonly onBegin?: (id: string) => void;
  /** Called when it waits for the network or the server, and with nothing when it goes on. */
  readonly onWait?: (why: Error | undefined) => void;
  /** The file's SHA-256 in hex, if it is known: the server checks it. */
  readonly sha256?: string;
  /** Where unfinished uploads are remembered by file; by default the page's localStorage, if there is one. */
  readonly memory?: UploadMemory | undefined;
}

/** Remembers which upload a file was: localStorage does. */
export type UploadMemory = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** How a client reaches its server, and what it makes of a refusal. */
export interface UploadServer {
  readonly base: string;
  readonly credentials: RequestCredentials;
  readonly headers: (renew: boolean) => Promise<Record<string, string>>;
  readonly refusal: (status: number, text: string) => Error;
  /** How long to wait after so many failed tries, in milliseconds. */
  readonly wait: (tries: number) => number;
}

/** A piece is sent in one request, so that a token is asked for anew, and a proxy that gathers bodies holds no more. */
const piece = 16 << 20;

const tus = { "tus-resumable": "1.0.0" };

/** An answer of the server's. */
interface Answer {
  readonly status: number;
  readonly text: string;
  readonly header: (name: string) => string | null;
}

/** A request that was refused, and may be answered otherwise another time. */
class Passing extends Error {}

/**
 * Sends a file by the tus protocol: what breaks off is taken up where it was, for as long as it takes. Rejects with the
 * signal's reason when it is stopped, and with what the server says when it refuses the file.
 */
export async function uploadFile(server: UploadServer, file: File, options: UploadOptions): Promise<Artifact> {
  const memory = options.memory ?? storage();
  const key = `herald.upload ${file.name} ${String(file.size)} ${String(file.lastModified)}`;
  let id = options.resume ?? recall(memory, key);
  let told: string | undefined;
  for (let tries = 0; ; tries++) {
    try {
      options.signal?.throwIfAborted();
      if (id === undefined) {
        id = await begin(server, file, options);
        remember(memory, key, id);
      }
      if (id !== told) options.onBegin?.(id);
      told = id;
      const done = await goOn(server, file, id, options, () => {
        tries = 0;
      });
      remember(memory, key, undefined);
      return done;
    } catch (err) {
      options.signal?.throwIfAborted();
      if (err instanceof Gone && id !== undefined) {
        remember(memory, key, undefined);
        id = undefined; // and from the beginning
        if (tries === 0) continue;
      } else if (!(err instanceof Passing)) {
        throw err;
      } else {
        options.onWait?.(err.cause as Error);
      }
      await pause(server.wait(tries), options.signal);
    }
  }
}

/** The server knows the upload no more. */
class Gone extends Error {}

async function begin(server: UploadServer, file: File, { sha256, signal }: UploadOptions): Promise<string> {
  const metadata = Object.entries({ filename: file.name, filetype: file.type, ...(sha256 && { sha256 }) })
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name} ${base64(value)}`);
  const headers = { ...tus, "upload-length": String(file.size), "upload-metadata": metadata.join(",") };
  const answer = await ask(server, "POST", "/api/uploads", headers, { signal });
  return (answer.header("location") ?? "").split("/").pop() ?? "";
}

/** Sends what is not there yet, piece by piece. */
async function goOn(
  server: UploadServer,
  file: File,
  id: string,
  { onProgress, onWait, signal }: UploadOptions,
  moved: () => void,
): Promise<Artifact> {
  const path = `/api/uploads/${id}`;
  const tell = (loaded: number) => onProgress?.({ loaded: Math.min(loaded, file.size), total: file.size });
  const head = await ask(server, "HEAD", path, tus, { signal });
  if (head.header("upload-length") !== String(file.size)) throw new Gone("it is another file's");
  let offset = Number(head.header("upload-offset"));
  onWait?.(undefined);
  tell(offset);
  while (offset < file.size) {
    const start = offset;
    const headers = { ...tus, "content-type": "application/offset+octet-stream", "upload-offset": String(start) };
    const body = file.slice(start, start + piece);
    const answer = await ask(server, "PATCH", path, headers, {
      signal,
      body,
      onProgress: (sent) => {
        tell(start + sent);
      },
    });
    offset = Number(answer.header("upload-offset"));
    if (!(offset > start)) throw new Passing("", { cause: new Error("the server took nothing") });
    moved();
    tell(offset);
  }
  const { text } = await ask(server, "GET", path, {}, { signal });
  const { artifact } = JSON.parse(text) as { artifact: Artifact | null };
  if (artifact === null) throw new Passing("", { cause: new Error("the server has not finished the upload") });
  return artifact;
}

interface Request {
  readonly signal?: AbortSignal | undefined;
  readonly body?: Blob;
  readonly onProgress?: (sent: number) => void;
}

/** Asks, with another token if the first is refused. Rejects with Passing when it may help to ask again, or with Gone. */
async function ask(
  server: UploadServer,
  method: string,
  path: string,
  headers: Record<string, string>,
  request: Request,
): Promise<Answer> {
  let answer: Answer | undefined;
  for (const renew of [false, true]) {
    const own = await server.headers(renew);
    answer = await send(method, server.base + path, { ...own, ...headers }, server.credentials, request);
    if (answer.status !== 401 || own["authorization"] === undefined) break;
  }
  if (answer === undefined) throw new Error("nothing was asked");
  const { status, text } = answer;
  if (status < 400) return answer;
  if (method !== "POST" && (status === 404 || status === 410)) throw new Gone();
  const refusal = server.refusal(status, text);
  // 409: it is further than we thought, or another request goes on with it.
  if (status >= 500 || [408, 409, 423, 425, 429].includes(status)) throw new Passing("", { cause: refusal });
  throw refusal;
}

/** By XMLHttpRequest, since fetch does not tell how far an upload is. */
function send(
  method: string,
  url: string,
  headers: Record<string, string>,
  credentials: RequestCredentials,
  { signal, body, onProgress }: Request,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => {
      request.abort();
    };
    request.open(method, url);
    request.withCredentials = credentials === "include";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded }) => onProgress?.(loaded));
    request.addEventListener("load", () => {
      resolve({
        status: request.status,
        text: request.responseText,
        header: (name) => request.getResponseHeader(name),
      });
    });
    request.addEventListener("error", () => {
      reject(new Passing("", { cause: new TypeError("the upload was cut off") }));
    });
    request.addEventListener("abort", () => {
      reject(signal?.reason as Error);
    });
    request.addEventListener("loadend", () => signal?.removeEventListener("abort", abort));
    signal?.addEventListener("abort", abort);
    request.send(body ?? null);
  });
}

/** Waits, no longer than until the network is back, or the signal says to stop. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = new AbortController();
    const done = () => {
      clearTimeout(timer);
      end.abort();
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (typeof window !== "undefined") window.addEventListener("online", done, { signal: end.signal });
    signal?.addEventListener("abort", done, { signal: end.signal });
  });
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function storage(): UploadMemory | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined; // the page may not have one
  }
}

function recall(memory: UploadMemory | undefined, key: string): string | undefined {
  return memory?.getItem(key) ?? undefined;
}

function remember(memory: UploadMemory | undefined, key: string, id: string | undefined): void {
  try {
    if (id === undefined) memory?.removeItem(key);
    else memory?.setItem(key, id);
  } catch {
    // It is full: the upload goes on all the same, and only a reload would begin it anew.
  }
}

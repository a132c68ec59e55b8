import type { Artifact } from "@herald/client";
import { expect, test, vi } from "vitest";
import { jobOf, noon } from "./testing";
import { UnfinishedList } from "./unfinished";
import { type Uploader, Uploads, type UploadsKept } from "./uploads";

/** A server that answers each upload when the test says so. */
function setup(kept?: UploadsKept) {
  const sent: {
    name: string;
    signal: AbortSignal | undefined;
    resume: string | undefined;
    begin: (id: string) => void;
    wait: (why?: Error) => void;
    progress: (loaded: number) => void;
    done: () => void;
    fail: (err: unknown) => void;
  }[] = [];
  const api = {
    upload: vi.fn<Uploader["upload"]>(
      (file, { onProgress, onBegin, onWait, resume, signal } = {}) =>
        new Promise((resolve, reject) => {
          const name = file instanceof File ? file.name : "";
          sent.push({
            name,
            signal,
            resume,
            begin: (id) => onBegin?.(id),
            wait: (why) => onWait?.(why),
            progress: (loaded) => onProgress?.({ loaded, total: file.size }),
            done: () => {
              resolve(artifactOf(name));
            },
            fail: reject,
          });
          signal?.addEventListener("abort", () => {
            reject(new DOMException("aborted", "AbortError"));
          });
        }),
    ),
    startJob: vi.fn<Uploader["startJob"]>(() => Promise.resolve(jobOf())),
    cancelUpload: vi.fn<Uploader["cancelUpload"]>(() => Promise.resolve()),
    uploads: vi.fn<Uploader["uploads"]>(() => Promise.resolve({ uploads: [] })),
  };
  const onJob = vi.fn();
  const uploads = new Uploads(api, onJob, kept);
  const states = () => uploads.items().map((u) => `${u.name} ${u.state}`);
  return { api, sent, onJob, uploads, states };
}

function artifactOf(name: string): Artifact {
  return {
    id: `artifact of ${name}`,
    job_id: null,
    kind: "upload",
    name,
    content_type: "video/mp4",
    size: 1,
    sha256: "",
    url: "",
    created_at: noon,
    details: null,
  };
}

function file(name: string, size = 100): File {
  return new File([new Uint8Array(size)], name, { lastModified: 1 });
}

/** What outlives a page: the list in localStorage, and the files here. On the server, what has arrived. */
function keeping(): UploadsKept & { readonly there: Map<string, File>; readonly complete: Set<string> } {
  localStorage.clear();
  const there = new Map<string, File>();
  const complete = new Set<string>();
  return {
    there,
    complete,
    arrived: (upload) => Promise.resolve(complete.has(upload)),
    list: new UnfinishedList("demo"),
    files: {
      put: (id, file) => Promise.resolve(void there.set(id, file)),
      get: (id) => Promise.resolve(there.get(id)),
      remove: (id) => Promise.resolve(void there.delete(id)),
    },
  };
}

test("a file becomes a job as soon as it is there", async () => {
  const t = setup();
  t.uploads.add([file("a.mov")], { preset: "webm" }, 1000);
  t.sent[0]?.done();
  await vi.waitFor(() => {
    expect(t.onJob).toHaveBeenCalledWith(jobOf());
  });
  expect(t.api.startJob).toHaveBeenCalledWith(
    { kind: "video", title: "a.mov", args: { source: { upload: "artifact of a.mov" }, preset: "webm" } },
    "upload-artifact of a.mov",
  );
  expect(t.uploads.items()).toEqual([]);
});

test("two are sent at once, the others wait for their turn", async () => {
  const t = setup();
  t.uploads.add([file("a"), file("b"), file("c")], { preset: "webm" }, 1000);
  expect(t.states()).toEqual(["a uploading", "b uploading", "c waiting"]);
  t.sent[0]?.done();
  await vi.waitFor(() => {
    expect(t.states()).toEqual(["b uploading", "c uploading"]);
  });
});

test("progress and speed are told, and never more than the file's size", () => {
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  const t = setup();
  t.uploads.add([file("a", 10_000)], { preset: "webm" }, 100_000);
  t.sent[0]?.progress(1000);
  expect(t.uploads.items()[0]).toMatchObject({ loaded: 1000, speed: 0 });
  clock.mockReturnValue(1000);
  t.sent[0]?.progress(3000);
  expect(t.uploads.items()[0]).toMatchObject({ loaded: 3000, speed: 2000 });
  clock.mockReturnValue(9000);
  t.sent[0]?.progress(10_400);
  expect(t.uploads.items()[0]?.loaded).toBe(10_000);
});

test("a file above the limit or without content is refused before it is sent", () => {
  const t = setup();
  t.uploads.add([file("large", 2000), file("empty", 0)], { preset: "webm" }, 1000);
  expect(t.states()).toEqual(["large refused", "empty refused"]);
  expect(t.uploads.items()[0]?.error).toMatch(/limit is 1.0.kB/);
  expect(t.sent).toEqual([]);
});

test("cancelling stops the sending and lets the next one go", async () => {
  const t = setup();
  t.uploads.add([file("a"), file("b"), file("c")], { preset: "webm" }, 1000);
  t.uploads.cancel(t.uploads.items()[0]?.id ?? 0);
  expect(t.sent[0]?.signal?.aborted).toBe(true);
  await vi.waitFor(() => {
    expect(t.states()).toEqual(["b uploading", "c uploading"]);
  });
  expect(t.api.startJob).not.toHaveBeenCalled();
});

test("one that failed says so, and goes again when asked", async () => {
  const t = setup();
  t.uploads.add([file("a")], { preset: "webm" }, 1000);
  t.sent[0]?.fail(new TypeError("network"));
  await vi.waitFor(() => {
    expect(t.states()).toEqual(["a failed"]);
  });
  expect(t.uploads.items()[0]?.error).not.toBe("");
  t.uploads.retry(t.uploads.items()[0]?.id ?? 0);
  expect(t.states()).toEqual(["a uploading"]);
});

test("a file that is there already is not sent again when only its job could not be started", async () => {
  const t = setup();
  t.api.startJob.mockRejectedValueOnce(new TypeError("network"));
  t.uploads.add([file("a")], { preset: "webm" }, 1000);
  t.sent[0]?.done();
  await vi.waitFor(() => {
    expect(t.states()).toEqual(["a failed"]);
  });
  t.uploads.retry(t.uploads.items()[0]?.id ?? 0);
  await vi.waitFor(() => {
    expect(t.onJob).toHaveBeenCalledOnce();
  });
  expect(t.sent).toHaveLength(1);
});

test("closing stops all of them", () => {
  const t = setup();
  t.uploads.add([file("a"), file("b"), file("c")], { preset: "webm" }, 1000);
  t.uploads.close();
  expect(t.uploads.items()).toEqual([]);
  expect(t.sent.map((s) => s.signal?.aborted)).toEqual([true, true]);
});

test("while the network is away an upload says so, and how far it is", () => {
  const t = setup();
  t.uploads.add([file("a")], { preset: "webm" }, 1000);
  t.sent[0]?.progress(40);
  t.sent[0]?.wait(new TypeError("cut off"));
  expect(t.uploads.items()[0]).toMatchObject({ state: "paused", loaded: 40, error: "Herald cannot be reached." });
  t.sent[0]?.wait();
  expect(t.uploads.items()[0]).toMatchObject({ state: "uploading", error: "" });
});

test("a page that is loaded anew goes on with the files that are kept, and asks for the others", async () => {
  const kept = keeping();
  const before = setup(kept);
  before.uploads.add([file("kept"), file("large")], { preset: "webm" }, 1000);
  before.sent[0]?.begin("u1");
  before.sent[1]?.begin("u2");
  before.uploads.close();
  expect(before.api.cancelUpload).not.toHaveBeenCalled();
  kept.there.delete("u2");

  const t = setup(kept);
  const unfinished = { name: "", size: 100, offset: 40, expires_at: noon };
  t.api.uploads.mockResolvedValue({
    uploads: [
      { ...unfinished, id: "u1" },
      { ...unfinished, id: "u2" },
    ],
  });
  await t.uploads.restore();
  expect(t.states().sort()).toEqual(["kept uploading", "large lost"]);
  expect(t.sent.map((s) => [s.name, s.resume])).toEqual([["kept", "u1"]]);
  expect(t.uploads.items().map((u) => [u.loaded, u.args])).toEqual([
    [40, { preset: "webm" }],
    [40, { preset: "webm" }],
  ]);

  const lost = t.uploads.items().find((u) => u.name === "large")?.id ?? 0;
  expect(t.uploads.giveBack(lost, file("another"))).toBe(false);
  t.uploads.add([file("large")], { preset: "gif" }, 1000);
  expect(t.sent.map((s) => [s.name, s.resume])).toEqual([
    ["kept", "u1"],
    ["large", "u2"],
  ]);
  t.sent[1]?.done();
  await vi.waitFor(() => {
    expect(t.states()).toEqual(["kept uploading"]);
  });
  expect(kept.list.all().map((u) => u.id)).toEqual(["u1"]);
});

/** Leaves a page in the middle of an upload of a file that is not kept. */
function leave(kept: ReturnType<typeof keeping>): void {
  const page = setup(kept);
  page.uploads.add([file("large")], { preset: "gif" }, 1000);
  page.sent[0]?.begin("u1");
  page.uploads.close();
  kept.there.clear();
}

test("a page that was closed between the last byte and the job starts it when it is loaded anew", async () => {
  const kept = keeping();
  leave(kept);
  kept.complete.add("u1");
  const t = setup(kept);
  t.api.startJob.mockRejectedValueOnce(new TypeError("network"));
  await t.uploads.restore();
  await vi.waitFor(() => {
    expect(t.states()).toEqual(["large failed"]);
  });
  expect(t.uploads.items()[0]).toMatchObject({ loaded: 100, size: 100 });
  expect(kept.list.all()).toHaveLength(1);
  t.uploads.retry(t.uploads.items()[0]?.id ?? 0);
  await vi.waitFor(() => {
    expect(t.onJob).toHaveBeenCalledOnce();
  });
  expect(t.api.startJob).toHaveBeenLastCalledWith(
    { kind: "video", title: "large", args: { source: { upload: "u1" }, preset: "gif" } },
    "upload-u1",
  );
  expect(t.sent).toEqual([]);
  expect(kept.list.all()).toEqual([]);
});

test("an upload that came to nothing is forgotten, and one of which that is not known is not", async () => {
  const kept = keeping();
  leave(kept);
  const unsure = setup({ ...kept, arrived: () => Promise.reject(new TypeError("network")) });
  await expect(unsure.uploads.restore()).rejects.toThrow("network");
  expect(kept.list.all()).toHaveLength(1);
  const t = setup(kept);
  await t.uploads.restore();
  expect(t.states()).toEqual([]);
  expect(kept.list.all()).toEqual([]);
});

test("an upload that is cancelled is ended on the server too, and not there after a reload", () => {
  const kept = keeping();
  const t = setup(kept);
  t.uploads.add([file("a")], { preset: "webm" }, 1000);
  t.sent[0]?.begin("u1");
  expect(kept.list.all()).toHaveLength(1);
  t.uploads.cancel(t.uploads.items()[0]?.id ?? 0);
  expect(t.api.cancelUpload).toHaveBeenCalledWith("u1");
  expect(kept.list.all()).toEqual([]);
  expect(kept.there.size).toBe(0);
});

import { expect, test } from "vitest";
import { jobOf, idOf } from "./testing";
import { JobStore } from "./store";
import { followInTab, ringIcon, titleOf } from "./title";
import { Uploads } from "./uploads";

/** A server that never answers. */
const never = () => new Promise<never>(() => undefined);
const idle = { upload: never, startJob: never, uploads: never, cancelUpload: never };

test("the title names the one job under way, or counts them", () => {
  expect(titleOf([])).toBe("Herald");
  expect(titleOf([{ title: "clip.mov", progress: 0.429 }])).toBe("42\u00a0% · clip.mov – Herald");
  expect(
    titleOf([
      { title: "a", progress: 0.2 },
      { title: "b", progress: 0.4 },
    ]),
  ).toBe("30\u00a0% · 2 jobs – Herald");
});

test("the ring is as full as the share", () => {
  const dash = (share: number) => /stroke-dasharray="([\d.]+) /.exec(decodeURIComponent(ringIcon(share)))?.[1];
  expect([dash(0), dash(0.5), dash(1)]).toEqual(["0.0", "37.7", "75.4"]);
});

test("the tab follows jobs and uploads, and is as before when all is done", () => {
  const store = new JobStore((flush) => {
    flush();
  });
  const uploads = new Uploads(idle, () => undefined);
  const icon = document.createElement("link");
  icon.href = "/plain.svg";
  const stop = followInTab(store, uploads, icon);
  expect(document.title).toBe("Herald");

  store.put(jobOf({ progress: 0.5 }));
  expect(document.title).toBe("50\u00a0% · clip.mov – Herald");
  expect(icon.href).toMatch(/^data:image\/svg/);

  uploads.add([new File(["x"], "next.mov")], { preset: "webm" }, 10);
  expect(document.title).toBe("25\u00a0% · 2 jobs – Herald");
  uploads.close();

  store.put(jobOf({ version: 6, progress: 1, state: "succeeded" }));
  expect(document.title).toBe("Herald");
  expect(icon.href).toMatch(/plain\.svg$/);

  store.put(jobOf({ id: idOf(2), progress: 0.1 }));
  stop();
  expect(document.title).toBe("Herald");
  store.put(jobOf({ id: idOf(2), version: 9, progress: 0.2 }));
  expect(document.title).toBe("Herald");
});

test("an icon is not drawn anew for each percent", () => {
  const store = new JobStore((flush) => {
    flush();
  });
  const icon = document.createElement("link");
  const stop = followInTab(store, new Uploads(idle, () => undefined), icon);
  const drawn = new Set<string>();
  for (let n = 0; n <= 100; n++) {
    store.put(jobOf({ version: n, progress: n / 100 }));
    drawn.add(icon.href);
  }
  stop();
  expect(drawn.size).toBeLessThanOrEqual(21);
});

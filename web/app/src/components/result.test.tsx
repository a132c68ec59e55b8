import type { Artifact, Job } from "@herald/client";
import { expect, test, vi } from "vitest";
import { button, click, jobOf, noon, render } from "../testing";
import { JobView } from "./job-view";
import { tileAt, tilesOf } from "./strip";

function artifact(kind: string, name: string, details: Artifact["details"] = null): Artifact {
  return {
    id: name,
    job_id: jobOf().id,
    kind,
    name,
    content_type: "",
    size: 3_200_000,
    sha256: "",
    url: `/api/artifacts/${name}/${name}`,
    created_at: noon,
    details,
  };
}

function finished(artifacts: Artifact[], height = 720): Job {
  const result = { duration_ms: 20_000, width: height === 0 ? 0 : 1280, height, artifacts };
  return jobOf({ state: "succeeded", progress: 1, finished_at: noon, result });
}

function show(job: Job, open: boolean, onOpen = vi.fn()): HTMLElement {
  return render(<JobView job={job} heading={job.title} open={open} onOpen={onOpen} />);
}

const video = artifact("video", "clip.mp4");
const poster = artifact("poster", "poster.jpg");
const thumbnails = artifact("thumbnails", "thumbnails.jpg", {
  columns: 10,
  rows: 1,
  width: 160,
  height: 90,
  interval_ms: 2000,
});

test("a finished video shows its poster, and plays where it is", async () => {
  const onOpen = vi.fn();
  const job = finished([video, poster, thumbnails]);
  const closed = show(job, false, onOpen);
  expect(closed.querySelector("video")).toBeNull();
  expect(closed.querySelector("img")?.getAttribute("src")).toBe(poster.url);
  await click(button(closed, "Play clip.mov"));
  expect(onOpen).toHaveBeenCalledWith(true);

  const open = show(job, true);
  const player = open.querySelector("video");
  expect(player?.getAttribute("src")).toBe(video.url);
  expect(player?.getAttribute("poster")).toBe(poster.url);
  expect(open.querySelectorAll("figure [aria-hidden] > div > div")).toHaveLength(10);
});

test("sound has its player at once", () => {
  const audio = artifact("audio", "clip.m4a");
  const container = show(finished([audio], 0), false);
  expect(container.querySelector("audio")?.getAttribute("src")).toBe(audio.url);
  expect(container.querySelector("video")).toBeNull();
  expect(container.textContent).not.toContain("×");
});

test("the file can be saved, and its size is told", () => {
  const container = show(finished([video, poster]), false);
  const link = container.querySelector<HTMLAnchorElement>("a[download]");
  expect(link?.getAttribute("href")).toBe(`${video.url}?download=1`);
  expect(link?.textContent).toContain("3.2\u00a0MB");
});

test("a playlist is not offered as if it were the film", () => {
  const container = show(finished([artifact("hls", "index.m3u8")]), false);
  expect(container.querySelector("a[download]")).toBeNull();
});

test("the strip shows a dozen pictures at most, evenly spread, and no empty ones", () => {
  const sprite = { url: "", columns: 10, rows: 10, count: 4, width: 160, height: 90 };
  expect(tilesOf(sprite)).toEqual([0, 1, 2, 3]);
  const long = tilesOf({ ...sprite, count: 100 });
  expect(long).toHaveLength(12);
  expect(long[0]).toBe(4);
  expect(long.at(-1)).toBe(95);
  expect([0, 0.49, 1].map((share) => tileAt(sprite, share))).toEqual([0, 1, 3]);
});

import type { Page } from "@playwright/test";
import { quantile } from "./figures";

/** What the frames of a page were like while they were watched. */
export interface Frames {
  /** Of those that a screen of the page's usual pace would have shown, the share that did not come. */
  readonly dropped: number;
  /** How long each task of more than 50 ms took. */
  readonly long: readonly number[];
  /** The longest time between two frames. */
  readonly longestGap: number;
}

/** What the page's window keeps for it. */
interface Notes {
  frames: number[];
  long: number[];
  observer: PerformanceObserver;
}

/** The time from frame to frame of a page that has nothing to do. */
export async function framePeriod(page: Page): Promise<number> {
  const at = await page.evaluate(
    () =>
      new Promise<number[]>((resolve) => {
        const frames: number[] = [];
        const frame = (at: number) => {
          if (frames.push(at) > 120) resolve(frames);
          else requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      }),
  );
  return quantile(gaps(at), 0.5);
}

/** Watches the page's frames until the function that it returns is called, which tells of them. */
export async function watchFrames(page: Page, period: number): Promise<() => Promise<Frames>> {
  await page.evaluate(() => {
    const notes = window as unknown as Notes;
    const [frames, long]: number[][] = [[], []];
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) long?.push(entry.duration);
    });
    observer.observe({ type: "longtask" });
    const frame = (at: number) => {
      frames?.push(at);
      if (notes.frames === frames) requestAnimationFrame(frame);
    };
    Object.assign(notes, { frames, long, observer });
    requestAnimationFrame(frame);
  });
  return async () => {
    const { frames, long } = await page.evaluate(() => {
      const { frames, long, observer } = window as unknown as Notes;
      for (const entry of observer.takeRecords()) long.push(entry.duration);
      observer.disconnect();
      (window as unknown as Notes).frames = [];
      return { frames, long };
    });
    const between = gaps(frames);
    const dropped = between.reduce((sum, gap) => sum + Math.max(0, Math.round(gap / period) - 1), 0);
    return { dropped: dropped / (frames.length + dropped), long, longestGap: Math.max(0, ...between) };
  };
}

function gaps(at: readonly number[]): number[] {
  return at.slice(1).map((time, i) => time - (at[i] ?? time));
}

import type { Page } from "@playwright/test";

/** What the page's window keeps for it. */
interface Notes {
  painted: Map<string, number>;
}

/** Notes when each text that matches, of what the selector finds, has been painted for the first time, by the system's clock. */
export async function notePaints(
  page: Page,
  pattern: string,
  within = "body",
): Promise<() => Promise<Map<string, number>>> {
  await page.evaluate(
    ({ pattern, within }) => {
      const painted = new Map<string, number>();
      (window as unknown as Notes).painted = painted;
      // One pair of ports for all: to make a pair for each frame is what the page would be seen to do.
      const { port1, port2 } = new MessageChannel();
      let due: (() => void)[] = [];
      port1.onmessage = () => {
        const now = due;
        due = [];
        for (const then of now) then();
      };
      const afterPaint = (then: () => void) => {
        if (due.push(then) === 1) port2.postMessage(null); // its task comes after the frame that is being made
      };
      // What changes within a frame's callbacks is painted with it; anything else, with the next.
      let inFrame = false;
      const request = window.requestAnimationFrame.bind(window);
      window.requestAnimationFrame = (callback) =>
        request((time) => {
          if (!inFrame) afterPaint(() => (inFrame = false));
          inFrame = true;
          callback(time);
        });
      const wanted = new RegExp(pattern, "g");
      const root = document.querySelector(within) ?? document.body;
      const look = () => {
        const found = (root.textContent.match(wanted) ?? []).filter((text) => !painted.has(text));
        for (const text of found) painted.set(text, NaN);
        const note = () => {
          for (const text of found) painted.set(text, performance.timeOrigin + performance.now());
        };
        if (found.length === 0) return;
        if (inFrame) afterPaint(note);
        else
          request(() => {
            afterPaint(note);
          });
      };
      new MutationObserver(look).observe(root, { subtree: true, childList: true, characterData: true });
    },
    { pattern, within },
  );
  return async () => new Map(await page.evaluate(() => [...(window as unknown as Notes).painted]));
}

/** How long it took from when the log took each message until it was painted, in milliseconds. */
export function delaysOf(painted: ReadonlyMap<string, number>, log: string): number[] {
  const recorded = recordedIn(log);
  return [...painted].map(([text, at]) => at - (recorded.get(text) ?? NaN)).filter((took) => !Number.isNaN(took));
}

/** When the log took each message, in milliseconds. */
function recordedIn(log: string): Map<string, number> {
  const events = log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { recorded_at: string; data: { message?: string } });
  // Date.parse keeps whole milliseconds; the log tells microseconds.
  const at = (time: string) => Date.parse(time) + Number(`0.${/\.\d{3}(\d+)/.exec(time)?.[1] ?? "0"}`);
  return new Map(events.map((e) => [e.data.message ?? "", at(e.recorded_at)]));
}

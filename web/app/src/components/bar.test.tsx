import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, test, vi } from "vitest";
import { Bar } from "./bar";

/** A bar on the page, and a way to show it anew with other properties. */
function setup() {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  const container = document.createElement("div");
  const root = createRoot(container);
  const show = (share: number | undefined, run = 1) => {
    act(() => {
      root.render(<Bar share={share} run={run} label="Progress of clip.mov" />);
    });
    const bar = container.querySelector("[role=progressbar]");
    return { now: bar?.getAttribute("aria-valuenow"), fill: bar?.firstElementChild };
  };
  return show;
}

test("the bar's value is whole percents, and none while nothing is known", () => {
  const show = setup();
  expect(show(undefined).now).toBeNull();
  expect(show(0.289).now).toBe("28");
  expect(show(0.29).now).toBe("29");
  expect(show(1).now).toBe("100");
});

test("within a run the bar slides on; a new run starts at its own place", () => {
  const show = setup();
  const first = show(0.6);
  expect(show(0.7).fill).toBe(first.fill);
  expect(show(0.1, 2).fill).not.toBe(first.fill);
});

test("a step that can be seen is a slide, a smaller one is not", () => {
  const show = setup();
  const slides = (share: number) => show(share).fill?.className.includes("transition-transform");
  expect(slides(0.5)).toBe(false);
  expect(slides(0.504)).toBe(false);
  expect(slides(0.6)).toBe(true);
  expect(slides(0.604)).toBe(false);
  expect(slides(0.5)).toBe(true);
});

import { act } from "react";
import { expect, test, vi } from "vitest";
import { deskOf, render } from "../testing";
import { ConnectionBadge, ConnectionNotice } from "./connection";

test("the badge says what the stream says", () => {
  const { desk, stream } = deskOf();
  const container = render(<ConnectionBadge />, desk);
  const seen = [container.textContent];
  for (const state of ["live", "reconnecting", "offline", "live"] as const) {
    act(() => {
      stream.onState(state);
    });
    seen.push(container.textContent);
  }
  expect(seen).toEqual(["Connecting", "Live", "Reconnecting", "Offline", "Live"]);
});

test("a short break is no matter for a notice, a long one is", () => {
  vi.useFakeTimers();
  const { desk, stream } = deskOf();
  const container = render(<ConnectionNotice />, desk);
  const during = (ms: number) => {
    act(() => {
      vi.advanceTimersByTime(ms);
    });
    return container.textContent;
  };
  act(() => {
    stream.onState("live");
  });
  expect(during(10_000)).toBe("");
  act(() => {
    stream.onState("reconnecting");
  });
  expect(during(1_000)).toBe("");
  act(() => {
    stream.onState("live");
  });
  act(() => {
    stream.onState("reconnecting");
  });
  expect(during(2_400)).toBe("");
  expect(during(200)).toContain("Herald cannot be reached.");
  act(() => {
    stream.onState("offline");
  });
  expect(container.textContent).toContain("You are offline.");
  act(() => {
    stream.onState("live");
  });
  expect(container.textContent).toBe("");
  vi.useRealTimers();
});

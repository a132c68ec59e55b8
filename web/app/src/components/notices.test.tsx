import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { button, click, deskOf, jobOf, noon, render } from "../testing";
import { Announcer } from "./announcer";
import { Bell } from "./bell";
import { Toaster } from "./toaster";

beforeEach(() => {
  localStorage.clear();
  vi.unstubAllGlobals();
});

const data = { payment_id: "p1", status: "failed", amount: "5", currency: "EUR", message: "Your card was refused." };

function paid(seq: number) {
  return { seq, id: String(seq), type: "notification.payment", time: noon, data } as const;
}

function toasts(container: HTMLElement): (string | null)[] {
  return Array.from(container.querySelectorAll("section[aria-label=Notices] li")).map((li) => li.textContent);
}

test("a toast goes by itself, and not while it is pointed at", () => {
  vi.useFakeTimers();
  const { desk } = deskOf();
  const container = render(<Toaster />, desk);
  act(() => {
    desk.news.take(paid(1));
  });
  expect(toasts(container)).toEqual(["Payment of 5 EUR has failedYour card was refused."]);
  const region = container.querySelector("section");
  act(() => {
    region?.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
  });
  act(() => {
    vi.advanceTimersByTime(60_000);
  });
  expect(toasts(container)).toHaveLength(1);
  act(() => {
    region?.dispatchEvent(new MouseEvent("mouseout", { bubbles: true }));
  });
  act(() => {
    vi.advanceTimersByTime(12_000);
  });
  expect(toasts(container)).toEqual([]);
  vi.useRealTimers();
});

test("a toast is dismissed by its button and by Escape", async () => {
  const { desk } = deskOf();
  const container = render(<Toaster />, desk);
  act(() => {
    for (const seq of [1, 2, 3]) desk.news.take(paid(seq));
  });
  const dismiss = container.querySelectorAll("button")[0];
  if (dismiss !== undefined) await click(dismiss);
  expect(toasts(container)).toHaveLength(2);
  act(() => {
    container.querySelector("button")?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  });
  expect(toasts(container)).toHaveLength(1);
});

test("the bell counts what is unread, and its list has it all", () => {
  const { desk } = deskOf();
  const container = render(<Bell />, desk);
  act(() => {
    desk.news.take(paid(1));
    desk.news.take({ seq: 2, id: "2", type: "job.failed", time: noon, data: jobOf({ error: "no moov atom" }) });
  });
  expect(button(container, "Notifications, 2 unread")).toBeTruthy();
  act(() => {
    const toggle = Object.assign(new Event("toggle"), { newState: "open" });
    container.querySelector("[role=dialog]")?.dispatchEvent(toggle);
  });
  const listed = Array.from(container.querySelectorAll("[role=dialog] li")).map((li) => li.textContent);
  expect(listed[0]).toContain("clip.mov has failed");
  expect(listed[0]).toContain("try it again");
  expect(container.querySelector("[role=dialog] li a")?.getAttribute("href")).toBe(`/jobs/${jobOf().id}`);
  expect(button(container, "Notifications")).toBeTruthy();
});

test("the switch asks the browser when it is used and not before, and says when it is blocked", async () => {
  const requestPermission = vi.fn(() => {
    Object.assign(Notification, { permission: "granted" });
    return Promise.resolve("granted" as const);
  });
  vi.stubGlobal("Notification", Object.assign(vi.fn(), { permission: "default", requestPermission }));
  const container = render(<Bell />);
  const control = container.querySelector<HTMLElement>("[role=switch]");
  if (control === null) throw new Error("no switch");
  expect(requestPermission).not.toHaveBeenCalled();
  expect(control.getAttribute("aria-checked")).toBe("false");
  await click(control);
  expect(requestPermission).toHaveBeenCalledOnce();
  expect(control.getAttribute("aria-checked")).toBe("true");
  act(() => {
    Object.assign(Notification, { permission: "denied" });
    window.dispatchEvent(new Event("focus"));
  });
  expect(control.getAttribute("aria-checked")).toBe("false");
  expect(control.getAttribute("aria-disabled")).toBe("true");
  expect(container.textContent).toContain("Your browser blocks notifications");
});

test("a notification is announced once", () => {
  const { desk, stream } = deskOf();
  const container = render(<Announcer />, desk);
  act(() => {
    stream.onEvent(paid(1));
  });
  expect(container.textContent).toBe("Payment of 5 EUR has failed. Your card was refused.");
});

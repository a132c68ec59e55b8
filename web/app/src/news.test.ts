import type { LogEvent } from "@herald/client";
import { beforeEach, expect, test, vi } from "vitest";
import { News } from "./news";
import { noticeOf, safeLink } from "./notices";
import { jobOf, noon } from "./testing";

function event(seq: number, type: string, data: unknown): LogEvent {
  return { seq, id: String(seq), type, time: noon, data };
}

const payment = { payment_id: "p1", status: "succeeded", amount: "12.50", currency: "EUR" };

function setup(old: LogEvent[] = []) {
  const onlookers = { visible: vi.fn(() => true), seen: vi.fn(() => false), tell: vi.fn() };
  const events = vi.fn(() => Promise.resolve({ events: old, next: "", floor: 0 }));
  const news = new News({ events }, "demo", onlookers);
  return { news, events, onlookers };
}

beforeEach(() => {
  localStorage.clear();
});

test("events become notices in words for people", () => {
  const words = (type: string, data: object) => {
    const notice = noticeOf(event(1, type, data));
    return notice && [notice.tone, notice.title, notice.text];
  };
  expect(words("job.succeeded", jobOf())).toEqual(["good", "clip.mov is finished", ""]);
  expect(words("job.failed", jobOf({ error: "no moov atom\nmore" }))).toEqual([
    "bad",
    "clip.mov has failed",
    "no moov atom. See what happened, and try it again from there.",
  ]);
  expect(words("notification.payment", payment)).toEqual(["good", "Payment of 12.50 EUR has succeeded", ""]);
  expect(words("notification.payment", { ...payment, status: "refunded" })?.[1]).toBe(
    "Payment of 12.50 EUR has been refunded",
  );
  expect(words("notification.account", { action: "password_changed", message: "Was it you?" })).toEqual([
    "plain",
    "Your account: password changed",
    "Was it you?",
  ]);
  expect(words("notification.system", { component: "search", status: "outage" })).toEqual([
    "bad",
    "Search: outage",
    "",
  ]);
  expect(words("notification.custom.new_offer", {})?.[1]).toBe("New offer");
  expect(words("job.progress", jobOf())).toBeUndefined();
  expect(words("order.paid", {})).toBeUndefined();
});

test("a notice leads to a page of the web, and to nothing that runs", () => {
  expect(
    ["/x", "https://a.example/b", "javascript:alert(1)", "data:text/html,x", "//a.example", ""].map(safeLink),
  ).toEqual(["/x", "https://a.example/b", "", "", "//a.example", ""]);
});

test("a notice is shown while one looks elsewhere on the page, and kept", () => {
  const t = setup();
  t.news.take(event(1, "notification.payment", payment));
  expect(t.news.view().toasts.map((n) => n.seq)).toEqual([1]);
  t.onlookers.seen.mockReturnValue(true);
  t.news.take(event(2, "job.succeeded", jobOf()));
  expect(t.news.view().toasts.map((n) => n.seq)).toEqual([1]);
  t.onlookers.visible.mockReturnValue(false);
  t.news.take(event(3, "job.failed", jobOf()));
  expect(t.news.view().toasts.map((n) => n.seq)).toEqual([1]);
  expect(t.onlookers.tell.mock.calls.map(([n]) => (n as { seq: number }).seq)).toEqual([3]);
  expect(t.news.view().notices.map((n) => n.seq)).toEqual([3, 2, 1]);
});

test("few are shown at once, none twice, and all are counted until they are read", () => {
  const t = setup();
  for (const seq of [1, 2, 3, 4, 4]) t.news.take(event(seq, "notification.payment", payment));
  expect(t.news.view().toasts.map((n) => n.seq)).toEqual([2, 3, 4]);
  expect(t.news.view().unread).toBe(4);
  t.news.dismiss(3);
  expect(t.news.view().toasts.map((n) => n.seq)).toEqual([2, 4]);
  t.news.markRead();
  expect(t.news.view()).toMatchObject({ unread: 0, toasts: [] });
  t.news.take(event(5, "notification.payment", payment));
  expect(t.news.view().unread).toBe(1);
});

test("what came while the page was away is there, and unread since the last time", async () => {
  const old = [event(9, "notification.payment", payment), event(8, "job.succeeded", jobOf())];
  const first = setup(old);
  first.news.open(() => () => undefined);
  await vi.waitFor(() => {
    expect(first.news.view().notices).toHaveLength(2);
  });
  expect(first.news.view().unread).toBe(0);
  expect(first.events).toHaveBeenCalledWith({
    topic: ["user:demo", "all"],
    type: ["job.succeeded", "job.failed", "notification.*"],
    limit: 50,
  });
  const second = setup([event(10, "notification.payment", payment), ...old]);
  second.news.open(() => () => undefined);
  await vi.waitFor(() => {
    expect(second.news.view().unread).toBe(1);
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sentenceOf } from "./sentences";

function said(type: string, data: unknown = {}, actor = "w1"): [string, string, string, string] {
  const s = sentenceOf({ type, data, actor });
  return [s.kind, s.severity, s.text, s.note];
}

const payloads: Record<string, unknown> = {
  "job.queued": { attempt: 0, title: "clip.mov" },
  "job.started": { attempt: 2, worker: "w1" },
  "job.progress": { progress: 0.42, step: "transcode", processed: 1200, total: 4800, unit: "frames", message: "" },
  "job.step": { step: "store" },
  "job.message": { message: "Halfway there" },
  "job.retrying": { attempt: 1, error: "ffmpeg was killed" },
  "job.stalled": {},
  "job.resumed": {},
  "job.cancelling": {},
  "job.cancelled": { error: "" },
  "job.succeeded": {},
  "job.failed": { error: "no space left\nlast line" },
  "job.late_report": { attempt: 1, reported: "failed", error: "killed" },
  "job.deleted": {},
  "job.callback": { outcome: "given_up", host: "example.org", error: "The receiver answered 503." },
  "job.artifacts_expired": {},
  "job.absent": { outcome: "delivered", medium: "mail", error: "" },
  "job.shared": { share: "s1", shared_by: "w1" },
  "job.share_opened": { share: "s1", shared_by: "w1" },
  "job.share_revoked": { share: "s1", shared_by: "w1" },
  "access.read": { reader: "sue", roles: ["support"], whose: "alice", what: ["job:42"] },
  "notification.payment": { payment_id: "p", status: "failed", amount: "12.50", currency: "EUR", reference: "F-7" },
  "notification.account": { user_id: "alice", action: "locked" },
  "notification.system": { component: "uploads", status: "degraded", message: "Uploads are slow." },
  "notification.post": { post_id: "9", action: "commented", by: "bob", title: "On cats" },
  "notification.profile": { user_id: "alice", action: "name_changed" },
  "notification.activity": { user_id: "bob", action: "followed", object: "alice" },
  "notification.video": { video_id: "v1", status: "processing", progress: 0.3 },
  "notification.export": { export_id: "e1", status: "failed", error: "disk full" },
};

/** Every type that Herald itself knows, as its own code has them. */
function known(): string[] {
  const source = join(import.meta.dirname, "../../../../internal/event");
  const types = [...readFileSync(join(source, "event.go"), "utf8").matchAll(/ Type += "([a-z._]+)"/g)].map(
    (m) => m[1] ?? "",
  );
  const notices = Object.keys(JSON.parse(readFileSync(join(source, "notifications.json"), "utf8")) as object);
  return [...types, ...notices].sort();
}

test("each type that the server knows has a sentence of its own", () => {
  expect(Object.keys(payloads).sort()).toEqual(known());
  for (const [type, data] of Object.entries(payloads)) {
    const s = sentenceOf({ type, data, actor: "w1" });
    expect(s.text, type).not.toContain(type);
    expect(s.text.length, type).toBeGreaterThan(4);
  }
});

test("events of jobs say who, what and how bad", () => {
  const all = Object.entries(payloads).filter(([type]) => type.startsWith("job."));
  expect(all.map(([type, data]) => said(type, data))).toEqual([
    ["Queued", "info", "Queued by w1", ""],
    ["Started", "info", "Attempt 2 started on w1", ""],
    ["Progress", "info", "42\u00a0% done", "Transcode, 1,200 of 4,800 frames"],
    ["Step", "info", "Step: Store", ""],
    ["Message", "info", "Halfway there", ""],
    ["Retrying", "warning", "Attempt 1 failed; another one follows", "ffmpeg was killed"],
    ["Stalled", "warning", "No word from the worker", ""],
    ["Resumed", "info", "The worker is heard again", ""],
    ["Cancelling", "info", "w1 asked it to stop", ""],
    ["Cancelled", "info", "Cancelled", ""],
    ["Succeeded", "good", "Finished", ""],
    ["Failed", "bad", "Failed", "no space left\nlast line"],
    ["Late report", "warning", "A late report from attempt 1 was set aside", "It said: failed. killed"],
    ["Deleted", "warning", "Deleted by w1", ""],
    ["Callback", "bad", "Gave up calling example.org back", "The receiver answered 503."],
    ["Files gone", "info", "Its files are no longer kept", ""],
    ["Away", "good", "Nobody had seen the end, so a mail told of it", ""],
    ["Shared", "info", "Shared by a link by w1", ""],
    ["Link opened", "info", "The link was opened for the first time", ""],
    ["Link revoked", "info", "The link was revoked by w1", ""],
  ]);
});

test("notifications and looks at others' things read as sentences", () => {
  const all = Object.entries(payloads).filter(([type]) => !type.startsWith("job."));
  expect(all.map(([type, data]) => said(type, data))).toEqual([
    ["Access", "info", "sue looked at a job of alice", "As support: job:42"],
    ["Payment", "bad", "Payment of 12.50 EUR for F-7: failed", ""],
    ["Account", "warning", "Account of alice: locked", ""],
    ["System", "warning", "uploads: degraded", "Uploads are slow."],
    ["Post", "info", "bob commented on the post “On cats”", ""],
    ["Profile", "info", "Profile of alice: name changed", ""],
    ["Activity", "info", "bob followed alice", ""],
    ["Video", "info", "Video v1: processing, 30\u00a0% done", ""],
    ["Export", "bad", "Export e1: failed", "disk full"],
  ]);
});

test("what Herald does not know is told by its message, or by its name", () => {
  expect(said("order.paid", { message: "Order 7 is paid" })).toEqual(["Paid", "info", "Order 7 is paid", ""]);
  expect(said("order.paid", { error: "no money" })).toEqual(["Paid", "bad", "Order paid", "no money"]);
  expect(said("notification.custom.example")).toEqual(["Example", "info", "Custom example", ""]);
  expect(said("job.paused")).toEqual(["Paused", "info", "job.paused", ""]);
});

test("whatever an event carries, there is a sentence, and it is not long", () => {
  const long = "x".repeat(10_000);
  for (const type of [...Object.keys(payloads), "a.b", long]) {
    for (const data of [
      null,
      7,
      "text",
      [],
      {},
      { progress: "x", what: 7, message: [], error: {} },
      { message: long, step: long },
    ]) {
      const s = sentenceOf({ type, data, actor: "" });
      expect(s.text.length, type).toBeGreaterThan(0);
      expect(s.text.length, type).toBeLessThanOrEqual(300);
    }
  }
});

test("a job's event has its title as its subject, and nothing else has one", () => {
  expect(sentenceOf({ type: "job.failed", data: { title: "clip.mov" }, actor: "" }).subject).toBe("clip.mov");
  expect(sentenceOf({ type: "notification.post", data: { title: "On cats" }, actor: "" }).subject).toBe("");
});

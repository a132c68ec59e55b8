import type { Session } from "@herald/client";
import { act } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { instant } from "../format";
import { button, click, render } from "../testing";
import type { Connection, LogPage } from "./api";
import SupportDesk from "./index";
import type { LogRecord } from "./record";

const job = "019b7e5c-0000-7000-8000-00000000000a";

function record(seq: number, change: Partial<LogRecord> = {}): LogRecord {
  return {
    seq,
    id: `e${String(seq)}`,
    type: "job.failed",
    time: "2026-01-02T12:00:00Z",
    recorded_at: "2026-01-02T12:00:00Z",
    job_id: job,
    actor: "press",
    topics: [`job:${job}`, "user:alice"],
    data: { id: job, title: "Tickets", owner: "alice", error: "no paper" },
    ...change,
  };
}

function connection(id: string, change: Partial<Connection> = {}): Connection {
  return {
    id,
    node: "n1",
    user: "alice",
    session: "",
    user_agent: "curl/8.5.0",
    address: "192.0.2.7",
    topics: ["user:alice", "all", `client:${id}`],
    filter: null,
    metadata: {},
    opened_at: "2026-01-02T12:00:00Z",
    opened_seq: 3,
    opened_head: 3,
    written_seq: 9,
    written_at: "2026-01-02T12:00:00Z",
    acked_seq: 9,
    acked_at: "2026-01-02T12:00:00Z",
    seen_seq: 9,
    seen_at: "2026-01-02T12:00:00Z",
    visible: true,
    closed_at: null,
    closed_why: "",
    close_asked_at: null,
    close_asked_by: "",
    ...change,
  };
}

/** What the server answers by the beginning of the address, the longest first, and what it was asked. */
let answers: Record<string, unknown> = {};
let asked: string[] = [];
/** The body of a stream. */
let streamed = new TransformStream<Uint8Array, Uint8Array>();

function page(events: LogRecord[], next = ""): LogPage {
  return { events, next, prev: "", floor: 0 };
}

beforeEach(() => {
  asked = [];
  streamed = new TransformStream();
  answers = { "/api/events?order=asc": page([record(1)]) };
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => {
    const method = init?.method ?? "GET";
    asked.push(method === "GET" ? path : `${method} ${path}`);
    const known = Object.keys(answers).filter((a) => path.startsWith(a) || `${method} ${path}` === a);
    const best = known.sort((a, b) => b.length - a.length)[0];
    if (path.startsWith("/api/sse")) return Promise.resolve(new Response(streamed.readable));
    if (best === undefined) return Promise.reject(new TypeError("offline"));
    return Promise.resolve(Response.json(answers[best]));
  });
});

afterEach(() => {
  history.replaceState(null, "", "/");
});

async function open(address: string, role = "support"): Promise<HTMLElement> {
  history.replaceState(null, "", address);
  const session: Session = { user: "sue", roles: [role], expires_at: "" };
  const container = render(<SupportDesk session={session} />);
  await settle();
  return container;
}

/** Waits until what has been asked is answered and shown. */
async function settle(): Promise<void> {
  await act(async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
    await new Promise((resolve) => requestAnimationFrame(resolve));
  });
}

function rows(container: HTMLElement, label: string): HTMLElement[] {
  return [...container.querySelectorAll<HTMLElement>(`ul[aria-label="${label}"] > li`)];
}

test("events are sentences, and one opens to what it carries and what became of it", async () => {
  answers["/api/events?limit=100"] = page([record(9), record(8, { type: "tick.tock", topics: ["all"], data: {} })]);
  answers["/api/events/9/deliveries"] = {
    recipients: [{ user: "alice", online: false, way: "", stage: "" }],
    deliveries: [],
    next: "",
  };
  answers["/api/events/9/explain?user=alice"] = {
    user: "alice",
    received: false,
    findings: [{ code: "no_connection", text: "No stream of theirs was open at 2026-01-02 03:04:05.678 UTC." }],
  };
  const container = await open("/support");
  const [first, second] = rows(container, "Events, newest first");
  expect(first?.textContent).toMatch(/Problem: .*Tickets.*no paper.*alice.*#9/);
  expect(second?.textContent).toContain("Everyone");
  expect(container.textContent).toContain("2 events, all there are");
  expect(container.textContent).toContain("event #1.");

  const toggle = first?.querySelector("button");
  expect(toggle?.getAttribute("aria-expanded")).toBe("false");
  if (toggle !== null && toggle !== undefined) await click(toggle);
  await settle();
  expect(toggle?.getAttribute("aria-expanded")).toBe("true");
  expect(first?.querySelector("pre")?.textContent).toContain('"error": "no paper"');
  expect(first?.textContent).toContain("was not connected at the time");
  await click(button(container, "Explain"));
  await settle();
  const at = instant("2026-01-02T03:04:05.678Z"); // as all other times are told
  expect(first?.textContent).toContain(`No stream of theirs was open at ${at}.`);
  expect(first?.querySelector(`a[href="/support/jobs/${job}"]`)).not.toBeNull();
});

test("filters are in the address, and going back is another search", async () => {
  answers["/api/events?"] = page([]);
  const container = await open("/support?user=alice");
  expect(container.textContent).toContain("Nothing in the log matches");
  expect(asked).toContain("/api/events?user=alice&limit=100");
  const problems = [...container.querySelectorAll("label")].find((l) => l.textContent === "Problems");
  if (problems !== undefined) await click(problems);
  await settle();
  expect(location.search).toBe("?user=alice&problems=true");
  expect(asked).toContain("/api/events?user=alice&errors=true&limit=100");
  await click(button(container, "Clear 2 filters"));
  expect(location.pathname + location.search).toBe("/support");
});

test("what cannot be read says so, and is tried again", async () => {
  const container = await open("/support");
  expect(container.querySelector("[role=alert]")?.textContent).toContain("Herald cannot be reached.");
  answers["/api/events?limit=100"] = page([record(9)]);
  await click(button(container, "Try again"));
  await settle();
  expect(rows(container, "Events, newest first")).toHaveLength(1);
});

test("an export has the filters, and leads to its job", async () => {
  answers["/api/events?"] = page([]);
  answers["POST /api/jobs"] = { id: job };
  const container = await open("/support?user=alice");
  await click(button(container, "Export all that matches"));
  await click(button(container, "As CSV"));
  await settle();
  expect(asked).toContain("POST /api/jobs");
  expect(container.querySelector(`a[href="/jobs/${job}"]`)?.textContent).toContain("Watch it");
});

test("connections show how far they are; support may not end one, and is told why", async () => {
  answers["/api/connections"] = {
    connections: [
      connection("c1"),
      connection("c2", { acked_seq: 4, user: "bob", address: "127.0.0.1" }),
      connection("c3", { user: "carol", address: null }),
    ],
    next: "",
    statistics: { connections: 3, users: 3, nodes: { n1: 3 } },
  };
  const container = await open("/support/connections");
  const [alice, bob, carol] = rows(container, "Open streams");
  expect(alice?.textContent).toMatch(/alice.*n1.*curl\/8\.5\.0.*192\.0\.2\.7.*Arrived and seen.*user:alice, all/);
  expect(bob?.textContent).toMatch(/This machine.*Behind: at #4 of #9/);
  expect(bob?.querySelector('[title^="127.0.0.1: "]')).not.toBeNull();
  expect(carol?.textContent).toContain("Address not known");
  const end = button(container, "Disconnect this stream of alice");
  expect(end.getAttribute("aria-disabled")).toBe("true");
  await click(end);
  expect(container.querySelector("[role=group][aria-label^=Disconnect]")).toBeNull();
  expect(alice?.textContent).toContain("Support may look and not change");
});

test("an admin ends a stream, once they have said that they mean it", async () => {
  answers["/api/connections"] = { connections: [connection("c1")], next: "" };
  answers["DELETE /api/connections/c1"] = connection("c1", { close_asked_at: "2026-01-02T12:00:00Z" });
  const container = await open("/support/connections?user=alice", "admin");
  expect(container.textContent).toContain("alice has one stream");
  await click(button(container, "Disconnect this stream of alice"));
  await click(button(container, "Keep"));
  expect(asked.filter((a) => a.startsWith("DELETE"))).toEqual([]);
  await click(button(container, "Disconnect this stream of alice"));
  const reads = asked.length;
  await click(button(container, "Disconnect"));
  await settle();
  expect(asked.slice(reads)).toEqual(["DELETE /api/connections/c1", "/api/connections?limit=100&live=true&user=alice"]);
});

test("the live page follows the whole log, stands still while it is paused, and looks for a text in what came", async () => {
  const writer = streamed.writable.getWriter();
  const say = async (id: number | undefined, event: string, data: object) => {
    const text = `${id === undefined ? "" : `id: ${String(id)}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    await act(() => writer.write(new TextEncoder().encode(text)));
    await settle();
  };
  const tick = (seq: number, text: string) =>
    say(seq, "tick.tock", { seq, id: "", type: "tick.tock", time: "2026-01-02T12:00:00Z", data: { text } });
  answers["/api/events?before=10"] = page([record(9)]);
  const container = await open("/support/live");
  expect(asked[0]).toBe("/api/sse?conflate=off&topic=log");
  await say(undefined, "stream.open", { client_id: "c", head: 9, resumed: false, heartbeat_ms: 15_000, ack_ms: 0 });
  await say(9, "stream.snapshot", { jobs: [] });
  const list = () => rows(container, "Live events, newest first").map((row) => /#\d+/.exec(row.textContent)?.[0]);
  expect(list()).toEqual(["#9"]);
  await tick(10, "One");
  expect(list()).toEqual(["#10", "#9"]);
  await click(button(container, "Pause"));
  await tick(11, "Two");
  expect(list()).toEqual(["#10", "#9"]);
  expect(container.querySelector("[data-tail=paused]")?.textContent).toBe("Paused, 1 new");
  await click(button(container, "Resume with 1 new"));
  await settle();
  expect(list()).toEqual(["#11", "#10", "#9"]);
  act(() => {
    history.replaceState(null, "", "/support/live?text=NO+PAPER");
    window.dispatchEvent(new PopStateEvent("popstate"));
  });
  expect(list()).toEqual(["#9"]);
});

test("an admin sees the queues, follows a number to its entries, and opens one", async () => {
  const entry = {
    id: 7,
    queue: "errands",
    kind: "callback",
    state: "retryable",
    priority: 1,
    attempt: 2,
    max_attempts: 25,
    created_at: "2026-01-02T12:00:00Z",
    scheduled_at: "2026-01-02T12:05:00Z",
    attempted_at: "2026-01-02T12:00:30Z",
    finalized_at: null,
    node: "n1",
    error: "no answer",
    job: { id: job, title: "Tickets", owner: "alice" },
  };
  answers["/api/queue"] = {
    at: "2026-01-02T12:01:00Z",
    queues: [
      { name: "errands", paused_at: null, counts: { retryable: 1, completed: 10_000 }, oldest_at: null, next_at: null },
    ].map((q) => ({ ...q, completed_per_minute: 3, discarded_per_minute: 0 })),
    nodes: [{ name: "n1", leads: true, running: 0, oldest_at: null, started_at: null, heartbeat_at: null }],
    kinds: ["callback"],
    most_counted: 10_000,
    rate_window_ms: 300_000,
  };
  answers["/api/queue/entries"] = { entries: [entry], next: "" };
  answers["/api/queue/entries/7"] = {
    ...entry,
    nodes: ["n0", "n1"],
    errors: [{ at: "2026-01-02T12:00:31Z", attempt: 2, error: "no answer", trace: "main.go:7" }],
  };
  const container = await open("/support/queue", "admin");
  const [queue] = rows(container, "Queues");
  expect(queue?.textContent).toMatch(/errands.*3 completed a minute.*1Retryable.*10,000\+Completed/);
  expect(container.querySelector("[aria-label=Nodes]")?.textContent).toContain("n1leads, idle, but it has left");
  const number = container.querySelector<HTMLElement>('a[href="/support/queue?state=retryable&queue=errands"]');
  if (number !== null) await click(number);
  await settle();
  expect(asked.at(-1)).toBe("/api/queue/entries?state=retryable&queue=errands&limit=50");
  const [row] = rows(container, "Entries, newest first");
  expect(row?.textContent).toMatch(/Callback.*Tickets.*no answer.*Failed, again in 4/);
  await click(button(container, "Callback, entry 7"));
  await settle();
  expect(location.search).toBe("?state=retryable&queue=errands&open=7");
  expect(row?.textContent).toMatch(/2 of 25.*n0, n1.*Attempt 2.*no answer\s+main\.go:7/s);
  expect(row?.querySelector(`a[href="/jobs/${job}"]`)).not.toBeNull();
});

test("support has no queue, and is told where attempts are told of", async () => {
  const container = await open("/support/queue");
  expect(container.textContent).toContain("The queue is for admins");
  expect(container.querySelector('a[href="/support/queue"]')).toBeNull();
  expect(asked).toEqual([]);
});

test("whoever has no such role is told who has, and nothing is asked", async () => {
  const container = await open("/support/connections", "user");
  expect(container.textContent).toContain("open to the roles support and admin");
  expect(asked).toEqual([]);
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deliverOne, Log, Origin, type Random, randomOf, settle, type Tab } from "./fake-tabs.js";

beforeEach(() => {
  vi.useFakeTimers();
  // At once, so that a run is the same each time.
  const digest = (_: string, data: Uint8Array) => Promise.resolve(data.slice().buffer);
  vi.stubGlobal("crypto", { subtle: { digest } });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const first: Random = () => 0;

/** So many tabs that have found together. */
async function together(
  count: number,
): Promise<{ origin: Origin; tabs: Tab[]; log: Log; pass: (ms: number) => Promise<void> }> {
  const log = new Log();
  const origin = new Origin(log);
  const tabs = Array.from({ length: count }, () => origin.open());
  const pass = (ms: number) => settle(origin, first, ms);
  await pass(3000);
  return { origin, tabs, log, pass };
}

function leaderOf(log: Log): Tab {
  const [connection, ...others] = [...log.connections];
  if (connection === undefined || others.length > 0) throw new Error(`${String(log.connections.size)} connections`);
  return connection.tab;
}

function checkAll(tabs: readonly Tab[], log: Log): void {
  for (const tab of tabs) {
    expect(tab.mistakes).toEqual([]);
    expect(log.seqs.filter((seq) => seq > (tab.at ?? -1))).toEqual([]);
    expect(tab.stream.state).toBe("live");
  }
}

test.each([1, 2, 10])("%i tabs have one connection, and all get all", async (count) => {
  const { tabs, log, pass } = await together(count);
  for (let i = 0; i < 5; i++) log.publish();
  await pass(100);
  expect(log.connections.size).toBe(1);
  checkAll(tabs, log);
  for (const tab of tabs) expect(tab.seqs).toEqual([1, 2, 3, 4, 5]);
});

test("a tab by itself tells nobody of events, and the next one of all that it gets from then on", async () => {
  const { origin, log, pass } = await together(1);
  for (let i = 0; i < 5; i++) log.publish();
  await pass(100);
  expect(origin.told).toBe(0);
  const late = origin.open();
  await pass(500);
  log.publish();
  await pass(100);
  expect(origin.told).toBe(1);
  expect(late.seqs).toEqual([6]);
  expect(log.connections.size).toBe(1);
});

test("a tab that comes later begins with a snapshot of its own, and says whose connection it is on", async () => {
  const { origin, log, pass } = await together(1);
  log.publish();
  await pass(100);
  const late = origin.open();
  await pass(500);
  log.publish();
  await pass(100);
  expect(late.types).toEqual(["stream.open", "stream.snapshot", "stream.open", "notification.test"]);
  expect(late.seqs).toEqual([2]);
  expect(log.connections.size).toBe(1);
});

test.each(["close", "crash", "freeze"] as const)(
  "when the leading tab is gone (%s), the next one goes on",
  async (end) => {
    const { origin, tabs, log, pass } = await together(10);
    log.publish();
    await pass(100);
    const leader = leaderOf(log);
    leader[end]();
    for (const connection of leader.connections) connection.vanish();
    log.publish();
    await pass(900);
    const others = tabs.filter((tab) => tab !== leader);
    checkAll(others, log);
    expect(log.connections.size).toBe(1);
    expect(others.map((tab) => tab.states)).toEqual(others.map(() => ["live"])); // too short to be told
    leader.alive = end === "freeze";
    if (leader.alive) {
      leader.resume();
      await pass(900);
      checkAll(tabs, log);
      expect(log.connections.size).toBe(1);
    }
    expect(origin.tabs).toHaveLength(10);
  },
);

test("a leading tab that no longer answers is replaced, and knows it when it comes to", async () => {
  const { tabs, log, pass } = await together(3);
  const leader = leaderOf(log);
  leader.stalled = true;
  log.publish();
  await pass(6000);
  const others = tabs.filter((tab) => tab !== leader);
  checkAll(others, log);
  leader.stalled = false;
  await pass(3000);
  log.publish();
  await pass(100);
  checkAll(tabs, log);
  expect(leaderOf(log)).not.toBe(leader);
});

test("a tab that slept through quiet times fetches what it missed, and gives its connection up", async () => {
  const { origin, log, pass } = await together(1);
  const [old] = origin.tabs;
  old?.freeze();
  for (let i = 0; i < 10; i++) log.publishElsewhere();
  origin.open();
  await pass(3000);
  old?.resume();
  await pass(5000);
  expect(log.connections.size).toBe(1); // though nothing tells that nothing happened
  log.publish();
  await pass(100);
  checkAll(origin.tabs, log);
});

test("all tabs see that the server is away, and that it is back", async () => {
  const { tabs, log, pass } = await together(3);
  log.up = false;
  log.cut();
  await pass(1000);
  expect(tabs.map((tab) => tab.stream.state)).toEqual(["reconnecting", "reconnecting", "reconnecting"]);
  log.up = true;
  log.publish();
  await pass(1000);
  checkAll(tabs, log);
  expect(log.connections.size).toBe(1);
});

test("a visible tab takes the lead from a hidden one that has no connection", async () => {
  const { tabs, log, pass } = await together(2);
  const leader = leaderOf(log);
  leader.setVisible(false);
  log.up = false;
  log.cut();
  await pass(3000);
  log.up = true;
  await pass(1000);
  expect(leaderOf(log)).not.toBe(leader);
  checkAll(tabs, log);
});

test("when the log was replaced, every tab is told", async () => {
  const { tabs, log, pass } = await together(3);
  for (let i = 0; i < 20; i++) log.publish();
  await pass(100);
  log.head = 3;
  log.seqs = [];
  log.cut();
  await pass(2000);
  expect(tabs.map((tab) => tab.types.includes("stream.reset"))).toEqual([true, true, true]);
  log.publish();
  await pass(100);
  checkAll(tabs, log);
  for (const tab of tabs) expect(tab.seqs.at(-1)).toBe(4);
});

test.each([
  ["users", { user: "bob" }],
  ["tokens", { token: () => "another" }],
  ["headers that let in", { headers: () => ({ Authorization: "Bearer another" }) }],
  ["topics", { topics: ["channel:news"] }],
  ["filters", { types: ["job.*"] }],
  ["ways with cookies", { credentials: "omit" as const }],
])("tabs with other %s share nothing", async (_, options) => {
  const { origin, log, pass } = await together(2);
  if ("user" in options) log.user = options.user;
  origin.open(options);
  await pass(3000);
  expect(log.connections.size).toBe(2);
  expect(new Set([...origin.channels].map((c) => c.name)).size).toBe(2);
  expect([...origin.channels].filter((c) => c.name.includes("another"))).toEqual([]);
});

test("a stream that the server opens for somebody else ends before anything of it is seen", async () => {
  const log = new Log();
  const origin = new Origin(log);
  log.user = "mallory";
  const tab = origin.open();
  await settle(origin, first, 1000);
  expect(tab.types).toEqual([]);
  expect(tab.states).toEqual(["closed"]);
  expect(tab.error).toMatchObject({ status: 401, type: "/problems/other-user" });
});

test("closed, a stream leaves nothing behind", async () => {
  const { origin, tabs, log } = await together(3);
  for (const tab of tabs) tab.stream.close();
  expect(log.connections.size).toBe(0);
  expect(origin.channels.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

/** Does one thing that may happen to tabs. */
function happen(origin: Origin, random: Random): void {
  const { log } = origin;
  const alive = origin.tabs.filter((tab) => tab.alive);
  const tab = alive[random(alive.length)];
  switch (random(16)) {
    case 0:
      if (alive.length < 8) origin.open();
      break;
    case 1:
      if (alive.length > 2) tab?.[random(2) === 0 ? "close" : "crash"]();
      break;
    case 2:
      tab?.freeze();
      break;
    case 3:
      for (const frozen of alive) if (frozen.frozen) frozen.resume();
      break;
    case 4:
      if (tab !== undefined) tab.stalled = true;
      break;
    case 5:
      for (const other of alive) other.stalled = false;
      break;
    case 6:
      [...log.connections][random(log.connections.size)]?.cut();
      break;
    case 7:
      log.up = !log.up;
      if (!log.up) log.cut();
      break;
    case 8:
      tab?.setVisible(random(2) === 0);
      break;
    case 9:
      if (random(4) === 0) log.expire();
      break;
    case 10:
    case 11:
      log.publishElsewhere();
      break;
    default:
      log.publish();
  }
}

/** What tabs live through with a seed. */
async function live(seed: number): Promise<void> {
  const random = randomOf(seed);
  const log = new Log(3); // fewer than there are tabs
  const origin = new Origin(log);
  for (let i = 0; i < 4; i++) origin.open();
  for (let step = 0; step < 300; step++) {
    if (random(3) === 0) happen(origin, random);
    for (let n = random(8); n > 0; n--) await deliverOne(origin, random);
    if (random(4) === 0) await vi.advanceTimersByTimeAsync(random(1500));
  }
  log.up = true;
  const alive = origin.tabs.filter((tab) => tab.alive);
  for (const tab of alive) {
    tab.stalled = false;
    if (tab.frozen) tab.resume();
  }
  await settle(origin, random, 20_000);
  for (const tab of origin.tabs)
    expect({ tab: tab.number, mistakes: tab.mistakes }).toEqual({ tab: tab.number, mistakes: [] });
  checkAll(alive, log);
  expect(log.connections.size).toBe(1);
  for (const tab of origin.tabs) tab.stream.close();
  expect(vi.getTimerCount()).toBe(0);
}

// A taste, and those that once found something.
test.each([1, 2, 3, 4, 7, 18, 22, 1038, 1047])("whatever happens, no tab misses or repeats (seed %i)", live, 60_000);

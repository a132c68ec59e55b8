import { vi } from "vitest";
import type { followPage } from "./page.js";
import { SharedStream, type Surroundings, type TabChannel, type TabMessage } from "./share.js";
import type { EventStreamOptions, StreamState } from "./stream.js";
import type { StreamEvent, StreamOpen } from "./wire.js";

/** Numbers below a bound, the same for the same seed. */
export type Random = (below: number) => number;

/** Mulberry32. */
export function randomOf(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** The log of a server that takes a few connections, as a browser does for one host. */
export class Log {
  readonly connections = new Set<Connection>();
  readonly most: number;
  up = true;
  head = 0;
  /** The seqs of the events that the tabs follow; the others are of topics that they do not. */
  seqs: number[] = [];
  /** Cursors before it are refused. */
  oldest = 0;
  user = "alice";
  #clients = 0;

  constructor(most = 6) {
    this.most = most;
  }

  publish(): void {
    this.seqs.push(++this.head);
    for (const connection of this.connections) connection.send(eventOf(this.head));
  }

  publishElsewhere(): void {
    this.head++;
  }

  /** Forgets all that is in it. */
  expire(): void {
    this.oldest = this.head;
  }

  cut(): void {
    for (const connection of [...this.connections]) connection.cut();
  }

  /** What a stream with the cursor begins with. */
  begin(cursor: string): StreamEvent[] {
    const known = cursor !== "" && Number(cursor) >= this.oldest && Number(cursor) <= this.head;
    const at = known ? Number(cursor) : this.head;
    const data: StreamOpen = {
      client_id: `c${String(++this.#clients)}`,
      node: "n",
      user: this.user,
      topics: [],
      heartbeat_ms: 15_000,
      ack_ms: 0,
      head: at,
      resumed: known,
    };
    const open: StreamEvent = { type: "stream.open", data };
    if (known) return [open, ...this.seqs.filter((seq) => seq > at).map(eventOf)];
    const snapshot: StreamEvent = { type: "stream.snapshot", data: { jobs: [] } };
    const reason = Number(cursor) > this.head ? "cursor_ahead" : "cursor_too_old";
    const reset: StreamEvent[] = cursor === "" ? [] : [{ type: "stream.reset", data: { reason } }];
    return [open, ...reset, snapshot];
  }
}

function eventOf(seq: number): StreamEvent {
  return { seq, id: `e${String(seq)}`, type: "notification.test", time: "", data: {} };
}

/** A tab's own connection, which reconnects as an EventStream does. */
export class Connection {
  readonly tab: Tab;
  readonly options: EventStreamOptions;
  state: StreamState = "connecting";
  lastEventId: string;
  readonly #log: Log;
  readonly #inbox: StreamEvent[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tab: Tab, log: Log, options: EventStreamOptions) {
    this.tab = tab;
    this.options = options;
    this.#log = log;
    this.lastEventId = options.lastEventId ?? "";
    this.#connectIn(0);
  }

  get waiting(): boolean {
    return this.#inbox.length > 0;
  }

  send(event: StreamEvent): void {
    this.#inbox.push(event);
  }

  /** Hands the next of what has come to the tab. */
  deliver(): void {
    const event = this.#inbox.shift();
    if (event === undefined) return;
    if (event.type === "stream.open") this.#setState("live");
    if (event.type === "stream.reset") this.lastEventId = "";
    if (event.type === "stream.snapshot") this.lastEventId = String(this.#snapshotAt);
    if ("seq" in event) this.lastEventId = String(event.seq);
    this.options.onEvent(event);
  }

  cut(): void {
    this.#drop();
    this.#setState("reconnecting");
    this.#connectIn(250);
  }

  close(): void {
    this.#drop();
    this.#setState("closed");
  }

  /** The tab is no more. */
  vanish(): void {
    this.#drop();
    this.state = "closed";
  }

  #snapshotAt = 0;

  #connectIn(ms: number): void {
    this.#timer = setTimeout(() => {
      if (!this.#log.up || this.tab.stalled || this.#log.connections.size >= this.#log.most) {
        if (!this.#log.up) this.#setState("reconnecting");
        this.#connectIn(250);
        return;
      }
      this.#log.connections.add(this);
      this.#snapshotAt = this.#log.head;
      this.#inbox.push(...this.#log.begin(this.lastEventId));
    }, ms);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#inbox.length = 0;
    this.#log.connections.delete(this);
  }

  #setState(state: StreamState): void {
    if (state === this.state) return;
    this.state = state;
    this.options.onState?.(state);
  }
}

interface Held {
  readonly tab: Tab;
  readonly lost: (err: DOMException) => void;
}

/** The locks and channels of an origin, and its tabs. What is on its way arrives when the test says so. */
export class Origin {
  readonly log: Log;
  readonly tabs: Tab[] = [];
  readonly channels = new Set<Channel>();
  /** Whom messages wait for, by sender and receiver: only between two of them is there an order. */
  readonly mail = new Map<string, { to: Tab; take: () => void }[]>();
  /** How many events a tab has told the others of, if there were any or not. */
  told = 0;
  readonly #held = new Map<string, Held>();
  readonly #line = new Map<string, { tab: Tab; grant: () => void }[]>();

  constructor(log: Log) {
    this.log = log;
  }

  open(options: Partial<EventStreamOptions> & { user?: string } = {}): Tab {
    const tab = new Tab(this, this.tabs.length, options);
    this.tabs.push(tab);
    return tab;
  }

  post(from: string, to: Tab, take: () => void): void {
    const key = `${from}>${String(to.number)}`;
    const box = this.mail.get(key) ?? [];
    this.mail.set(key, box);
    box.push({ to, take });
  }

  request(tab: Tab, name: string, options: LockOptions, callback: () => Promise<void>): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const grant = () => {
        this.#held.set(name, {
          tab,
          lost: (err) => {
            this.post("locks", tab, () => {
              reject(err);
            });
          },
        });
        const mine = this.#held.get(name);
        this.post("locks", tab, () => {
          void callback().then(() => {
            resolve();
            if (this.#held.get(name) === mine) this.#next(name);
          });
        });
      };
      const line = this.#line.get(name) ?? [];
      this.#line.set(name, line);
      if (options.steal === true) {
        this.#held.get(name)?.lost(new DOMException("stolen", "AbortError"));
        grant();
        return;
      }
      const place = { tab, grant };
      line.push(place);
      options.signal?.addEventListener("abort", () => {
        if (!line.includes(place)) return;
        line.splice(line.indexOf(place), 1);
        reject(new DOMException("withdrawn", "AbortError"));
      });
      if (!this.#held.has(name)) this.#next(name);
    });
  }

  /** What a tab that crashes held, and what it waited for, is the others'. */
  forget(tab: Tab): void {
    for (const line of this.#line.values()) line.splice(0, line.length, ...line.filter((place) => place.tab !== tab));
    for (const [name, held] of [...this.#held]) if (held.tab === tab) this.#next(name);
    for (const channel of [...this.channels]) if (channel.tab === tab) channel.close();
    for (const connection of [...tab.connections]) connection.vanish();
  }

  #next(name: string): void {
    this.#held.delete(name);
    this.#line.get(name)?.shift()?.grant();
  }
}

class Channel implements TabChannel {
  onmessage: TabChannel["onmessage"] = null;

  constructor(
    readonly tab: Tab,
    readonly name: string,
  ) {
    tab.origin.channels.add(this);
  }

  postMessage(message: TabMessage): void {
    if (message.kind === "event") this.tab.origin.told++;
    for (const other of this.tab.origin.channels) {
      if (other === this || other.name !== this.name) continue;
      const data = structuredClone(message);
      this.tab.origin.post(String(this.tab.number), other.tab, () => {
        if (this.tab.origin.channels.has(other)) other.onmessage?.({ data } as MessageEvent<TabMessage>);
      });
    }
  }

  close(): void {
    this.tab.origin.channels.delete(this);
  }
}

/** A tab with a stream, which checks that it misses nothing and gets nothing twice. */
export class Tab {
  readonly origin: Origin;
  readonly number: number;
  readonly stream: SharedStream;
  readonly connections = new Set<Connection>();
  readonly types: string[] = [];
  readonly seqs: number[] = [];
  readonly states: StreamState[] = [];
  readonly mistakes: string[] = [];
  error: unknown;
  alive = true;
  frozen = false;
  /** Nothing runs in it, and nobody is told. */
  stalled = false;
  visible = true;
  /** All up to it has come; undefined before the first snapshot, and after a reset. */
  at: number | undefined;
  #page: Parameters<typeof followPage>[0] = {};

  constructor(origin: Origin, number: number, options: Partial<EventStreamOptions> & { user?: string }) {
    this.origin = origin;
    this.number = number;
    if (options.lastEventId !== undefined) this.at = Number(options.lastEventId);
    this.stream = new SharedStream(
      {
        url: "/api/sse",
        user: "alice",
        ...options,
        onEvent: (event) => {
          this.#take(event);
        },
        onState: (state, error) => {
          this.states.push(state);
          if (error !== undefined) this.error = error;
        },
      },
      this.#surroundings(),
    );
  }

  freeze(): void {
    this.frozen = true;
    this.#page.freeze?.();
  }

  resume(): void {
    this.frozen = false;
    this.#page.resume?.();
  }

  setVisible(visible: boolean): void {
    this.visible = visible;
    this.#page.visibilitychange?.();
  }

  /** Ends without a word. */
  crash(): void {
    this.alive = false;
    this.origin.forget(this);
  }

  close(): void {
    this.alive = false;
    this.#page.pagehide?.();
    this.origin.forget(this);
  }

  #surroundings(): Surroundings {
    const { origin } = this;
    const never = new Promise<never>(() => undefined);
    const request = (name: string, options: LockOptions, callback: () => Promise<void>) =>
      this.alive ? origin.request(this, name, options, callback) : never;
    return {
      tabs: {
        locks: { request } as unknown as Pick<LockManager, "request">,
        channel: (name) => new Channel(this, name),
      },
      open: (options) => {
        const connection = new Connection(this, origin.log, options);
        if (this.alive) this.connections.add(connection);
        else connection.vanish();
        return connection;
      },
      followPage: (listeners) => {
        this.#page = listeners;
      },
      visible: () => this.visible,
    };
  }

  #take(event: StreamEvent): void {
    this.types.push(event.type);
    if (event.type === "stream.reset") {
      if (this.at !== undefined && this.at >= this.origin.log.oldest && this.at <= this.origin.log.head) {
        this.mistakes.push(`reset at ${String(this.at)}`);
      }
      this.at = undefined;
    }
    if (event.type === "stream.snapshot") this.at = Number(this.stream.lastEventId);
    if (!("seq" in event)) return;
    this.seqs.push(event.seq);
    const { at } = this;
    const next = this.origin.log.seqs.find((seq) => seq > (at ?? Infinity));
    if (event.seq !== next) this.mistakes.push(`${String(event.seq)} after ${String(at)}, not ${String(next)}`);
    this.at = event.seq;
  }
}

/** Delivers one of the things that wait, whichever; false when none does. */
export async function deliverOne(origin: Origin, random: Random): Promise<boolean> {
  const due = [
    ...[...origin.mail.values()]
      .filter(([first]) => first !== undefined && !first.to.stalled && !first.to.frozen)
      .map((box) => () => {
        const { to, take } = box.shift() ?? {};
        if (to?.alive === true) take?.();
      }),
    ...[...origin.log.connections]
      .filter((c) => c.waiting && !c.tab.stalled)
      .map((c) => () => {
        c.deliver();
      }),
  ];
  due[random(due.length)]?.();
  await vi.advanceTimersByTimeAsync(0);
  return due.length > 0;
}

/** Lets the time pass, and all that waits arrive. */
export async function settle(origin: Origin, random: Random, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    while (await deliverOne(origin, random));
    await vi.advanceTimersByTimeAsync(50);
  }
  while (await deliverOne(origin, random));
}

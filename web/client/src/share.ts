import { Candidate } from "./candidate.js";
import { HeraldError } from "./error.js";
import { callOut, followPage, pageVisible } from "./page.js";
import { authorized, EventStream, type EventStreamOptions, type StreamState, streamAddress } from "./stream.js";
import type { StreamEvent, StreamOpen } from "./wire.js";

/** What a shared stream follows, and for whom. */
export interface SharedStreamOptions extends Omit<EventStreamOptions, "whileVisible"> {
  /** Who is signed in, as the server calls them: tabs of different users share nothing. */
  readonly user: string;
}

/** An event of the log, as it comes on a stream. */
type Logged = Extract<StreamEvent, { readonly seq: number }>;

/** How the leading tab is. */
interface Lead {
  readonly kind: "lead";
  readonly state: StreamState;
  readonly hidden: boolean;
  /** How its connection began; undefined until it has. */
  readonly open: StreamOpen | undefined;
  /** The last seq of its connection. */
  at: number | undefined;
}

/** What tabs say to each other. */
export type TabMessage =
  | Lead
  /** A tab wants to know how the leading one is. */
  | { readonly kind: "hello"; readonly visible: boolean }
  /** The leading tab got an event, and nothing between it and the one before. */
  | { readonly kind: "event"; readonly before: number; readonly event: Logged }
  /** The stream of the leading tab said something that concerns all. */
  | { readonly kind: "word"; readonly event: StreamEvent }
  /** The log is no longer what the cursors were of. */
  | { readonly kind: "reset" }
  /** A tab has all from that seq on, and more than the leading one: it is to begin there. */
  | { readonly kind: "extend"; readonly from: number };

/** A way to all other tabs, and from them. */
export interface TabChannel {
  postMessage(message: TabMessage): void;
  onmessage: ((message: MessageEvent<TabMessage>) => void) | null;
  close(): void;
}

/** What a shared stream has around it; a test brings its own. */
export interface Surroundings {
  /** Undefined where tabs cannot hear of each other. */
  readonly tabs: { readonly locks: Pick<LockManager, "request">; channel(name: string): TabChannel } | undefined;
  open(options: EventStreamOptions): Pick<EventStream, "state" | "lastEventId" | "close">;
  readonly followPage: typeof followPage;
  visible(): boolean;
}

/** A connection of this tab's own. */
interface Own {
  readonly stream: ReturnType<Surroundings["open"]>;
  /** The last seq that has come on it, or that it began after. */
  at: number | undefined;
  open: StreamOpen | undefined;
  /** When it was begun, and then let in. */
  since: number;
}

/** How often a tab looks whether the leading one is there, in milliseconds. */
const lookEvery = 1000;
/** A connection that has not found its place among the others' by then asks for it, in milliseconds. */
const settleTime = 2000;
/** The leading tab is taken for dead after so many looks without an answer. */
const longestSilence = 2;

/**
 * SharedStream is an EventStream that all tabs of an origin share if they follow
 * the same, as the same user, with the same token: one of them leads, and has the
 * connection. Each tab has a cursor of its own, and takes an event only if it has
 * all before it; what it misses it fetches by a connection of its own, for as long
 * as that takes. When the leading tab closes, crashes or is frozen, the next one
 * goes on from its cursor. Where tabs cannot hear of each other, each has its own
 * connection.
 */
export class SharedStream {
  readonly #options: SharedStreamOptions;
  readonly #around: Surroundings;
  readonly #closing = new AbortController();
  #state: StreamState = "connecting";
  /** All up to it has been handed on; undefined until a snapshot has. */
  #cursor: number | undefined;
  /** The log may be another than the cursor is of. */
  #doubt = false;
  /** The client id of the last stream.open that was handed on. */
  #client = "";

  /** Ends when the page sleeps; the fields below are its. */
  #stay = new AbortController();
  #channel: TabChannel | undefined;
  #candidate: Candidate | undefined;
  #leading = false;
  /** Another tab has been heard: until then there is nobody to tell of events. */
  #accompanied = false;
  #own: Own | undefined;
  #lead: Lead | undefined;
  #heardAt = 0;
  #unanswered = 0;
  /** Until when another tab counts as visible. */
  #othersVisible = 0;

  /** Connects at once. */
  constructor(options: SharedStreamOptions, around: Surroundings = browser()) {
    this.#options = options;
    this.#around = around;
    if (options.lastEventId !== undefined && options.lastEventId !== "") this.#cursor = Number(options.lastEventId);
    const sleep = () => {
      if (!this.#stay.signal.aborted) this.#leave();
      this.#setState("reconnecting");
    };
    const wake = () => {
      if (this.#stay.signal.aborted) void this.#enter();
    };
    const shown = () => {
      if (!around.visible()) return;
      wake();
      this.#greet();
    };
    around.followPage(
      { freeze: sleep, pagehide: sleep, resume: wake, pageshow: wake, visibilitychange: shown },
      { signal: this.#closing.signal },
    );
    void this.#enter();
  }

  get state(): StreamState {
    return this.#state;
  }

  /** The cursor to resume from. */
  get lastEventId(): string {
    return this.#cursor === undefined ? "" : String(this.#cursor);
  }

  /** Ends the stream of this tab for good; the others go on. */
  close(): void {
    this.#end();
  }

  #end(error?: HeraldError): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#leave();
    this.#setState("closed", error);
  }

  /** Joins the other tabs. */
  async #enter(): Promise<void> {
    const stay = new AbortController();
    this.#stay = stay;
    const { tabs } = this.#around;
    const name = tabs && (await this.#name().catch(() => undefined));
    if (stay.signal.aborted) return;
    if (tabs === undefined || name === undefined) {
      this.#openOwn();
      return;
    }
    const channel = tabs.channel(name);
    this.#channel = channel;
    this.#accompanied = false;
    channel.onmessage = ({ data }) => {
      if (!stay.signal.aborted) this.#hear(data);
    };
    this.#stand(tabs.locks, name);
    this.#heardAt = performance.now();
    const timer = setInterval(() => {
      this.#look();
    }, lookEvery);
    stay.signal.addEventListener("abort", () => {
      clearInterval(timer);
    });
    this.#greet();
  }

  #stand(locks: Pick<LockManager, "request">, name: string): void {
    this.#candidate = new Candidate({
      locks,
      name,
      onElected: () => {
        this.#leading = true;
        if (this.#own === undefined) this.#openOwn();
        this.#announce();
      },
      onDeposed: () => {
        this.#leading = false;
        this.#lead = undefined;
        this.#closeOwn();
        this.#greet();
      },
      onUnable: () => {
        this.#leave();
        this.#stay = new AbortController();
        this.#openOwn();
      },
    });
  }

  /** Leaves the other tabs alone. */
  #leave(): void {
    this.#stay.abort();
    this.#candidate?.resign();
    this.#channel?.close();
    this.#candidate = this.#channel = this.#lead = undefined;
    this.#leading = false;
    this.#unanswered = 0;
    this.#closeOwn();
  }

  /** What tabs have in common that may share. The token itself is not to be found in it. */
  async #name(): Promise<string> {
    const { topics = [], user, credentials = "" } = this.#options;
    const address = streamAddress({ ...this.#options, topics: [...topics].sort() });
    const token = new Headers(await authorized(this.#options, false)).get("authorization") ?? "";
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
    return `herald 1 ${JSON.stringify([address, user, credentials, ...new Uint8Array(digest)])}`;
  }

  #openOwn(from = this.#cursor): void {
    const own: Own = {
      stream: this.#around.open({
        ...this.#options,
        lastEventId: from === undefined ? "" : String(from),
        whileVisible: false, // the others may be seen
        onEvent: (event) => {
          if (own === this.#own) this.#take(own, event);
        },
        onState: (state, error) => {
          if (own === this.#own) this.#ownState(own, state, error);
        },
        visible: () => this.#visible() || performance.now() < this.#othersVisible,
      }),
      at: from,
      open: undefined,
      since: performance.now(),
    };
    this.#own = own;
  }

  #closeOwn(): void {
    const own = this.#own;
    this.#own = undefined;
    own?.stream.close();
  }

  #visible(): boolean {
    return (this.#options.visible ?? this.#around.visible)();
  }

  #ownState(own: Own, state: StreamState, error: HeraldError | undefined): void {
    if (state === "closed") this.#end(error);
    if (state === "live" || state === "closed") return; // live is what it is once it is known whose it is
    own.open = undefined;
    this.#setState(state);
    this.#announce();
  }

  /** Takes what has come on this tab's own connection. */
  #take(own: Own, event: StreamEvent): void {
    if ("seq" in event) {
      const before = own.at;
      own.at = event.seq;
      if (before !== undefined && this.#accompanied) this.#tellOthers({ kind: "event", before, event });
    } else if (!this.#takeWord(own, event)) return;
    try {
      if (!("seq" in event) || this.#isNew(event)) this.#options.onEvent(event);
    } finally {
      this.#follow();
    }
  }

  /** Takes what the stream says of itself; false when it is no longer to be followed. */
  #takeWord(own: Own, event: Exclude<StreamEvent, Logged>): boolean {
    switch (event.type) {
      case "stream.open":
        if (event.data.user !== this.#options.user) {
          this.#end(
            new HeraldError({ type: "/problems/other-user", title: "Somebody else is signed in", status: 401 }),
          );
          return false;
        }
        own.open = event.data;
        own.since = performance.now();
        this.#client = event.data.client_id;
        if (event.data.resumed) this.#doubt = false;
        this.#setState("live");
        this.#announce();
        break;
      case "stream.snapshot":
        own.at = this.#cursor = Number(own.stream.lastEventId);
        this.#doubt = false;
        this.#announce();
        break;
      case "stream.reset":
        if (own.at !== undefined && this.#cursor !== undefined && own.at < this.#cursor) {
          this.#reopen(this.#cursor); // that was refused is not what we would ask for
          return false;
        }
        own.at = this.#cursor = undefined;
        this.#tellOthers({ kind: "reset" });
        break;
      case "stream.expiring":
      case "stream.closing":
        this.#tellOthers({ kind: "word", event });
    }
    return true;
  }

  /** Reports whether the event is to be handed on, and takes it as handed on. */
  #isNew(event: Logged): boolean {
    if (this.#cursor !== undefined && event.seq <= this.#cursor) return false;
    this.#cursor = event.seq;
    return true;
  }

  /** Takes what another tab says. */
  #hear(message: TabMessage): void {
    this.#accompanied = true;
    if (this.#leading) {
      if (message.kind === "hello") this.#answer(message.visible);
      else if (message.kind === "extend") this.#extend(message.from);
      return;
    }
    if (message.kind === "hello" || message.kind === "extend") return;
    this.#heardAt = performance.now();
    this.#unanswered = 0;
    switch (message.kind) {
      case "lead":
        this.#lead = message;
        break;
      case "event":
        this.#hearEvent(message.before, message.event);
        break;
      case "word":
        if (this.#own === undefined) this.#tell(message.event);
        break;
      case "reset":
        this.#doubt = true;
        this.#closeOwn(); // it may have been let in before
        if (this.#lead !== undefined) this.#lead.at = undefined;
        break;
    }
    this.#follow();
  }

  #hearEvent(before: number, event: Logged): void {
    if (this.#lead !== undefined) this.#lead.at = event.seq;
    if (this.#doubt || this.#cursor === undefined || before > this.#cursor) return;
    if (this.#isNew(event)) this.#tell(event);
  }

  /** Relies on the leading tab if nothing is missing, and else fetches what is. */
  #follow(): void {
    if (this.#leading || this.#lead === undefined) return;
    const { state, open, at } = this.#lead;
    if (state !== "live") {
      this.#closeOwn();
      this.#setState(state);
    } else if (open !== undefined && at !== undefined) {
      if (this.#cursor === undefined || this.#doubt || at > this.#cursor) this.#catchUp();
      else this.#rely(open);
    }
  }

  #catchUp(): void {
    if (this.#own !== undefined) return;
    if (this.#state === "live") this.#setState("reconnecting");
    this.#openOwn();
  }

  #rely(open: StreamOpen): void {
    this.#closeOwn();
    this.#setState("live");
    if (open.client_id === this.#client) return;
    this.#client = open.client_id;
    this.#tell({ type: "stream.open", data: { ...open, resumed: true } });
  }

  #answer(visible: boolean): void {
    if (visible) this.#othersVisible = performance.now() + 3 * lookEvery;
    this.#announce();
  }

  /** Begins anew from the seq of a tab that has more, so that the two are of one line. */
  #extend(from: number): void {
    if (this.#own?.at !== undefined && from < this.#own.at) this.#reopen(from);
  }

  #reopen(from: number): void {
    this.#closeOwn();
    this.#openOwn(from);
  }

  #look(): void {
    const now = performance.now();
    const own = this.#own;
    if (this.#leading) {
      if (own?.open !== undefined || this.#state !== "live" || own === undefined) return;
      if (now - own.since >= lookEvery) this.#ownState(own, "reconnecting", undefined);
      return;
    }
    // Nothing may have happened between our cursor and where the leading tab began, which only a cursor can tell.
    const settled = own?.open !== undefined && now - own.since >= settleTime;
    if (settled && this.#cursor !== undefined && !this.#doubt)
      this.#channel?.postMessage({ kind: "extend", from: this.#cursor });
    // A hidden tab's timers are slow: it comes back late from a broken connection.
    const slow = this.#lead?.hidden === true && this.#lead.state !== "live" && this.#around.visible();
    if (slow || this.#unanswered >= longestSilence) this.#seize();
    else if (this.#visible() || now - this.#heardAt >= lookEvery) this.#greet();
  }

  #seize(): void {
    this.#unanswered = 0;
    this.#lead = undefined;
    this.#candidate?.seize();
  }

  #greet(): void {
    if (this.#leading) return;
    this.#unanswered++;
    this.#channel?.postMessage({ kind: "hello", visible: this.#visible() });
  }

  #announce(): void {
    const { open, at } = this.#own ?? {};
    this.#tellOthers({ kind: "lead", state: this.#state, hidden: !this.#around.visible(), open, at });
  }

  #tellOthers(message: TabMessage): void {
    if (this.#leading) this.#channel?.postMessage(message);
  }

  #tell(event: StreamEvent): void {
    callOut(() => {
      this.#options.onEvent(event);
    });
  }

  #setState(state: StreamState, error?: HeraldError): void {
    const now = state === "connecting" ? this.#state : state;
    if (now === this.#state) return;
    this.#state = now;
    callOut(() => this.#options.onState?.(now, error));
  }
}

/** The browser around the page, where it can do what sharing takes. */
function browser(): Surroundings {
  const able =
    typeof document !== "undefined" &&
    typeof BroadcastChannel !== "undefined" &&
    "locks" in navigator &&
    globalThis.isSecureContext;
  return {
    tabs: able ? { locks: navigator.locks, channel: (name) => new BroadcastChannel(name) } : undefined,
    open: (options) => new EventStream(options),
    followPage,
    visible: pageVisible,
  };
}

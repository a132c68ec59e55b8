import type { HeraldClient, LogEvent } from "@herald/client";
import { type Notice, noticeOf, noticeTypes } from "./notices";

/** What the notification centre and the toasts show. */
export interface NewsView {
  /** The newest first. */
  readonly notices: readonly Notice[];
  readonly unread: number;
  /** Those that are shown for a while, the newest last. */
  readonly toasts: readonly Notice[];
}

/** What is asked about a notice that comes. */
export interface Onlookers {
  /** Whether the page is looked at. */
  visible(): boolean;
  /** Whether what the notice is about is being looked at. */
  seen(notice: Notice): boolean;
  /** Tells somebody who does not look at the page. */
  tell(notice: Notice): void;
}

const most = 50;
const mostToasts = 3;

/**
 * News is what a person may want to hear of: kept, counted until it is read, and
 * shown for a while if they look elsewhere on the page.
 */
export class News {
  readonly #client: Pick<HeraldClient, "events">;
  readonly #user: string;
  readonly #onlookers: Onlookers;
  readonly #listeners = new Set<() => void>();
  #view: NewsView = { notices: [], unread: 0, toasts: [] };

  constructor(client: Pick<HeraldClient, "events">, user: string, onlookers: Onlookers) {
    this.#client = client;
    this.#user = user;
    this.#onlookers = onlookers;
  }

  readonly view = (): NewsView => this.#view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Listens, and reads what came before; the function that it returns ends that. */
  open(subscribeEvents: (listener: (event: LogEvent) => void) => () => void): () => void {
    const end = subscribeEvents((event) => {
      this.take(event);
    });
    const readElsewhere = (event: StorageEvent) => {
      if (event.key === this.#key) this.#change({});
    };
    window.addEventListener("storage", readElsewhere);
    // Without what came before, the centre shows what comes.
    this.#readBack().catch(() => undefined);
    return () => {
      end();
      window.removeEventListener("storage", readElsewhere);
    };
  }

  /** Takes an event of the log. */
  take(event: LogEvent): void {
    const notice = noticeOf(event);
    if (notice === undefined || this.#view.notices.some((n) => n.seq === notice.seq)) return;
    const looked = this.#onlookers.visible();
    const toasts =
      looked && !this.#onlookers.seen(notice) ? [...this.#view.toasts, notice].slice(-mostToasts) : this.#view.toasts;
    this.#change({ notices: merged([notice], this.#view.notices), toasts });
    if (!looked) this.#onlookers.tell(notice);
  }

  /** Shows a notice no longer; it stays in the centre. */
  dismiss(seq: number): void {
    this.#change({ toasts: this.#view.toasts.filter((n) => n.seq !== seq) });
  }

  /** All that is there has been read. */
  markRead(): void {
    const newest = this.#view.notices[0]?.seq ?? 0;
    if (newest > this.#read()) localStorage.setItem(this.#key, String(newest));
    this.#change({ toasts: [] });
  }

  async #readBack(): Promise<void> {
    const topic = [`user:${this.#user}`, "all"];
    const { events } = await this.#client.events({ topic, type: noticeTypes, limit: most });
    const notices = events.flatMap((event) => noticeOf(event) ?? []);
    // On a device that is new, nothing has been missed.
    const newest = Math.max(0, ...notices.map((n) => n.seq));
    if (localStorage.getItem(this.#key) === null) localStorage.setItem(this.#key, String(newest));
    this.#change({ notices: merged(this.#view.notices, notices) });
  }

  get #key(): string {
    return `herald.read ${this.#user}`;
  }

  #read(): number {
    return Number(localStorage.getItem(this.#key) ?? 0);
  }

  #change(change: Partial<NewsView>): void {
    const view = { ...this.#view, ...change };
    const read = this.#read();
    this.#view = { ...view, unread: view.notices.filter((n) => n.seq > read).length };
    for (const listener of this.#listeners) listener();
  }
}

function merged(a: readonly Notice[], b: readonly Notice[]): readonly Notice[] {
  const all = new Map([...b, ...a].map((n) => [n.seq, n]));
  return [...all.values()].sort((x, y) => y.seq - x.seq).slice(0, most);
}

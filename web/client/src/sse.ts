/** One event of a stream. */
export interface ServerSentEvent {
  /** The last id seen on the stream, which need not be this event's own. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** What a parser tells of. */
export interface SSEHandlers {
  onEvent(event: ServerSentEvent): void;
  /** The stream sets the time after which to reconnect, in milliseconds. */
  onRetry(ms: number): void;
}

/** An event is longer than the parser's limit. */
export class EventTooLongError extends Error {
  override readonly name = "EventTooLongError";
}

/**
 * Reads text/event-stream as the WHATWG's HTML standard says in 9.2.6, from
 * pieces that may be cut anywhere.
 */
export class SSEParser {
  #rest = "";
  #started = false;
  #skipLF = false;
  #id = "";
  #event = "";
  #data: string[] = [];
  #size = 0;

  constructor(
    private readonly handlers: SSEHandlers,
    private readonly limit = 16 * 1024 * 1024,
  ) {}

  /** Takes the next piece of decoded text. */
  push(text: string): void {
    if (!this.#started && text !== "") {
      this.#started = true;
      if (text.startsWith("\ufeff")) text = text.slice(1);
    }
    if (this.#skipLF && text !== "") {
      this.#skipLF = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    const all = this.#rest + text;
    let start = 0;
    // What was left over has been searched before.
    for (let at = this.#rest.length; at < all.length; at++) {
      const c = all.charCodeAt(at);
      if (c !== 10 && c !== 13) continue;
      this.#line(all.slice(start, at));
      if (c === 13) {
        if (at + 1 === all.length) this.#skipLF = true;
        else if (all.charCodeAt(at + 1) === 10) at++;
      }
      start = at + 1;
    }
    this.#rest = all.slice(start);
    this.#checkSize(this.#rest.length);
  }

  #line(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (field) {
      case "event":
        this.#event = value;
        break;
      case "data":
        this.#data.push(value);
        this.#size += value.length;
        this.#checkSize(this.#size);
        break;
      case "id":
        if (!value.includes("\0")) this.#id = value;
        break;
      case "retry":
        if (/^\d+$/.test(value)) this.handlers.onRetry(Number(value));
        break;
    }
  }

  #dispatch(): void {
    const { length } = this.#data;
    const event = { id: this.#id, event: this.#event === "" ? "message" : this.#event, data: this.#data.join("\n") };
    this.#event = "";
    this.#data = [];
    this.#size = 0;
    if (length > 0) this.handlers.onEvent(event);
  }

  #checkSize(size: number): void {
    if (size > this.limit) throw new EventTooLongError(`an event is longer than ${String(this.limit)} characters`);
  }
}

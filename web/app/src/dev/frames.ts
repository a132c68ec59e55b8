/** One frame of a stream as it came: the lines between two empty ones. */
export interface Frame {
  /** Counts the frames of a connection, from 1 on. */
  readonly n: number;
  /** When it came. */
  readonly at: number;
  readonly lines: readonly string[];
  /** What its lines say; undefined where none does. */
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string | undefined;
  readonly retry: string | undefined;
  readonly comments: readonly string[];
}

/** FrameReader cuts text/event-stream into frames, from pieces that are cut anywhere. It drops nothing. */
export class FrameReader {
  #rest = "";
  #lines: string[] = [];
  #size = 0;
  #n = 0;
  #began = false;

  /** Throws when a frame is longer than the limit, in characters. */
  constructor(
    private readonly onFrame: (frame: Frame) => void,
    private readonly limit = 16 * 1024 * 1024,
  ) {}

  push(text: string): void {
    let all = this.#rest + text;
    if (!this.#began && all !== "") {
      this.#began = true;
      if (all.startsWith("\ufeff")) all = all.slice(1);
    }
    // A CR at the end may be the first half of CRLF.
    const lines = all.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    if (this.#size + this.#rest.length > this.limit) throw new Error("A frame is too long to be shown.");
  }

  #line(line: string): void {
    if (line !== "") {
      this.#lines.push(line);
      this.#size += line.length;
    } else if (this.#lines.length > 0) {
      const lines = this.#lines;
      this.#lines = [];
      this.#size = 0;
      this.onFrame(frameOf(++this.#n, lines));
    }
  }
}

function frameOf(n: number, lines: string[]): Frame {
  const fields = lines.map(fieldOf);
  const last = (name: string) => fields.findLast((field) => field.name === name)?.value;
  const data = fields.filter((field) => field.name === "data").map((field) => field.value);
  return {
    n,
    at: Date.now(),
    lines,
    id: last("id"),
    event: last("event"),
    data: data.length === 0 ? undefined : data.join("\n"),
    retry: last("retry"),
    comments: fields.filter((field) => field.name === "").map((field) => field.value),
  };
}

/** A comment is a field without a name. */
function fieldOf(line: string): { name: string; value: string } {
  const [name = "", ...rest] = line.split(":");
  return { name, value: rest.join(":").replace(/^ /, "") };
}

/** Where a text stops being JSON, and why. Lines and columns begin at 1. */
export interface JsonProblem {
  readonly message: string;
  readonly at: number;
  readonly line: number;
  readonly column: number;
}

/** What a text says, or what is wrong with it. */
export type Json = { readonly value: unknown } | { readonly problem: JsonProblem };

/** Reads JSON. Browsers do not agree on saying where a text is wrong, so that is found out here. */
export function readJson(text: string): Json {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { problem: problemOf(text) };
  }
}

/** Reads JSON that has to be an object. */
export function readObject(text: string): Json {
  const read = readJson(text);
  if (!("value" in read) || (typeof read.value === "object" && read.value !== null && !Array.isArray(read.value)))
    return read;
  return { problem: placed(text, Math.max(text.search(/\S/), 0), "This has to be an object, in braces.") };
}

/** A text is wrong at a place. */
class Wrong extends Error {
  constructor(
    readonly at: number,
    message: string,
  ) {
    super(message);
  }
}

const deepest = 200;

function problemOf(text: string): JsonProblem {
  try {
    new Walk(text).all();
  } catch (err) {
    if (err instanceof Wrong) return placed(text, err.at, err.message);
    throw err;
  }
  return placed(text, 0, "This is not JSON.");
}

function placed(text: string, at: number, message: string): JsonProblem {
  const before = text.slice(0, at).split("\n");
  return { message, at, line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// Of control characters, JSON has none in a string.
// eslint-disable-next-line no-control-regex
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;

/** Goes through a text as RFC 8259 has it, until it is wrong. */
class Walk {
  #at = 0;

  constructor(private readonly text: string) {}

  all(): void {
    this.#value(0);
    if (this.#peek() !== "") throw new Wrong(this.#at, "Nothing may stand behind the value.");
  }

  #peek(): string {
    while (/[ \t\n\r]/.test(this.text.charAt(this.#at))) this.#at++;
    return this.text.charAt(this.#at);
  }

  #value(depth: number): void {
    if (depth > deepest) throw new Wrong(this.#at, "This is nested too deeply.");
    const next = this.#peek();
    if (next === "{") this.#list("}", depth, true);
    else if (next === "[") this.#list("]", depth, false);
    else if (next === '"') this.#string();
    else if (next === "") throw new Wrong(this.#at, "A value is missing.");
    else if (next === "'") throw new Wrong(this.#at, 'Strings stand in double quotes, "so".');
    else this.#scalar();
  }

  #list(end: string, depth: number, named: boolean): void {
    this.#at++;
    if (this.#peek() === end) {
      this.#at++;
      return;
    }
    for (;;) {
      if (named) this.#name();
      this.#value(depth + 1);
      const next = this.#peek();
      if (next !== "," && next !== end) throw new Wrong(this.#at, `A comma or ${end} is missing.`);
      const comma = this.#at++;
      if (next === end) return;
      if (this.#peek() === end) throw new Wrong(comma, `No comma may stand before ${end}.`);
    }
  }

  #name(): void {
    if (this.#peek() !== '"') throw new Wrong(this.#at, "A name in double quotes is missing.");
    this.#string();
    if (this.#peek() !== ":") throw new Wrong(this.#at, "A colon is missing behind the name.");
    this.#at++;
  }

  #string(): void {
    string.lastIndex = this.#at;
    this.#at += string.exec(this.text)?.[0].length ?? 0;
    const next = this.text.charAt(this.#at);
    if (next === '"') this.#at++;
    else if (next === "\\") throw new Wrong(this.#at, "This is no escape that JSON knows.");
    else throw new Wrong(this.#at, "The string does not end on its line.");
  }

  #scalar(): void {
    scalar.lastIndex = this.#at;
    const found = scalar.exec(this.text)?.[0] ?? "";
    const behind = this.text.charAt(this.#at + found.length);
    if (found === "" || /[\w.+-]/.test(behind)) throw new Wrong(this.#at, "This is not a value that JSON knows.");
    this.#at += found.length;
  }
}

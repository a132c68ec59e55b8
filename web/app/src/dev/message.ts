/** Whom a message is for, as the form has it. */
export const targets = ["client", "user", "users", "channel", "channels", "all"] as const;
export type TargetKind = (typeof targets)[number];

/** What the form for publishing holds. */
export interface MessageForm {
  readonly target: TargetKind;
  /** A name, or several with commas. */
  readonly names: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  /** Seconds; empty for ever. */
  readonly ttl: string;
  readonly key: string;
}

/** A message as the API takes it. */
export interface Message {
  readonly event: string;
  readonly data?: unknown;
  readonly metadata?: unknown;
  readonly ttl_ms?: number;
  readonly to: Readonly<Record<string, string | readonly string[] | boolean>>;
}

/** The message that the form says. Its data and metadata are JSON. */
export function messageOf({ target, names, type, data, metadata, ttl }: MessageForm): Message {
  const list = listed(names);
  const to = target === "all" ? true : target.endsWith("s") ? list : names.trim();
  return {
    event: type.trim(),
    ...(data.trim() !== "" && { data: JSON.parse(data) as unknown }),
    ...(metadata.trim() !== "" && { metadata: JSON.parse(metadata) as unknown }),
    ...(ttl.trim() !== "" && { ttl_ms: Math.round(Number(ttl) * 1000) }),
    to: { [target]: to },
  };
}

/** The words of a text with commas between them. */
export function listed(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** A program that publishes the same, in a language. */
export type Snippet = "curl" | "Go" | "JavaScript";

/** Writes the message as a program to copy. */
export function snippet(language: Snippet, origin: string, message: Message, key: string): string {
  switch (language) {
    case "curl":
      return curl(origin, message, key);
    case "Go":
      return go(message, key);
    case "JavaScript":
      return javaScript(origin, message, key);
  }
}

function curl(origin: string, message: Message, key: string): string {
  const lines = [
    `curl ${quoted(`${origin}/api/sse/message`)}`,
    `-H "Authorization: Bearer $TOKEN"`,
    `-H 'Content-Type: application/json'`,
    ...(key === "" ? [] : [`-H ${quoted(`Idempotency-Key: ${key}`)}`]),
    `-d ${quoted(JSON.stringify(message))}`,
  ];
  return lines.join(" \\\n  ");
}

/** A word for a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function javaScript(origin: string, message: Message, key: string): string {
  const headers = {
    ...(key !== "" && { "Idempotency-Key": key }),
    "Content-Type": "application/json",
  };
  const inner = JSON.stringify(headers, null, 2).replace(/^\{\n/, "").replace(/\n\}$/, ",").replaceAll(/^/gm, "  ");
  return `const response = await fetch(${JSON.stringify(`${origin}/api/sse/message`)}, {
  method: "POST",
  headers: {
    Authorization: \`Bearer \${process.env.TOKEN}\`,
${inner}
  },
  body: JSON.stringify(${JSON.stringify(message, null, 2).replaceAll("\n", "\n  ")}),
});
console.log(response.status, await response.json());
`;
}

function go({ event, data, metadata, ttl_ms, to }: Message, key: string): string {
  const fields: [string, string][] = [["Event", goString(event)]];
  if (data !== undefined) fields.push(["Data", `json.RawMessage(${goString(JSON.stringify(data))})`]);
  if (metadata !== undefined) fields.push(["Metadata", `map[string]any${goMap(metadata)}`]);
  if (ttl_ms !== undefined) fields.push(["TTLMS", String(ttl_ms)]);
  fields.push(["To", goTarget(to)]);
  if (key !== "") fields.push(["Key", goString(key)]);
  const widest = Math.max(...fields.map(([name]) => name.length));
  const lines = fields.map(([name, value]) => `\t${`${name}:`.padEnd(widest + 1)} ${value},`);
  return `published, err := client.Publish(ctx, herald.Message{\n${lines.join("\n")}\n})\n`;
}

function goString(text: string): string {
  return /[`\n\r]/.test(text) || !text.includes('"') ? JSON.stringify(text) : `\`${text}\``;
}

/** Metadata has strings, numbers and booleans, which are written in Go as in JSON. */
function goMap(value: unknown): string {
  const pairs = Object.entries(value as Record<string, unknown>);
  return `{${pairs.map(([name, v]) => `${JSON.stringify(name)}: ${JSON.stringify(v)}`).join(", ")}}`;
}

function goTarget(to: Message["to"]): string {
  const [kind = "", names] = Object.entries(to)[0] ?? [];
  const call = `herald.To${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
  if (typeof names === "boolean" || names === undefined) return `${call}()`;
  return `${call}(${[names]
    .flat()
    .map((name) => JSON.stringify(name))
    .join(", ")})`;
}

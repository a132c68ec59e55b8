import { ask } from "./api";

/** The part of JSON Schema that notifications are described by. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Reads the schemas of the types of notification that have one. */
export async function loadSchemas(): Promise<Readonly<Record<string, Schema>>> {
  const { json } = await ask("GET", "/asyncapi.json");
  const { components } = json as { components: { schemas: Record<string, Schema> } };
  return Object.fromEntries(Object.entries(components.schemas).filter(([name]) => name.startsWith("notification.")));
}

/** Data that fits the schema: its required members, and a message for people. */
export function exampleOf({ required = [], properties = {} }: Schema): Record<string, unknown> {
  const example = Object.fromEntries(required.map((name) => [name, valueOf(name, properties[name] ?? {})]));
  return "message" in properties ? { ...example, message: "Hello from the developer's page." } : example;
}

const known: Readonly<Record<string, string>> = {
  amount: "12.50",
  currency: "EUR",
  user_id: "demo",
  component: "search",
};

function valueOf(name: string, schema: Schema): unknown {
  if (schema.enum !== undefined) return schema.enum[Math.min(1, schema.enum.length - 1)];
  if (schema.type === "integer" || schema.type === "number") return schema.minimum ?? 0;
  if (schema.type === "boolean") return true;
  if (schema.type === "object") return {};
  if (schema.format === "date-time") return new Date().toISOString();
  return known[name] ?? (name.endsWith("_id") ? `${name.slice(0, -3)}-1` : "commented");
}

/** The members that a type may have, in words: those that it needs first. */
export function membersOf({ required = [], properties = {} }: Schema): { needed: readonly string[]; others: string[] } {
  const own = new Set([...required, "metadata", "ttl_ms"]); // the form has fields of their own for these
  return { needed: required, others: Object.keys(properties).filter((name) => !own.has(name)) };
}

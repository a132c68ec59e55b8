// Reads a JSON Schema of any shape: what is not there is nothing, never an error.

/** One of the values that may be chosen. */
export interface Offer {
  readonly value: string;
  readonly title: string;
  readonly description: string;
}

/** What stands at the path in a value of any shape. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (v, key) => (typeof v === "object" && v !== null ? (v as Record<string, unknown>)[key] : undefined),
    value,
  );
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** The values of a schema's `oneOf`, each with what people call it. */
export function offersOf(schema: unknown): Offer[] {
  return listOf(at(schema, "oneOf")).map((offered) => {
    const value = textOf(at(offered, "const"));
    return {
      value,
      title: textOf(at(offered, "title")) || value,
      description: textOf(at(offered, "description")),
    };
  });
}

import { type JsonProblem, readJson, readObject } from "./json";
import type { MessageForm } from "./message";

/** What is wrong with the form for publishing, field by field. */
export interface Problems {
  /** It can be said without asking the server. */
  readonly local: boolean;
  readonly names?: string;
  readonly type?: string;
  readonly data?: string;
  readonly ttl?: string;
  readonly key?: string;
  readonly dataAt?: JsonProblem;
  readonly metadataAt?: JsonProblem;
}

/** What can be said of the form without asking. */
export function problemsOf({ target, names: text, type, data, metadata, ttl }: MessageForm): Problems {
  const dataAt = data.trim() === "" ? undefined : problemAt(readJson(data));
  const metadataAt = metadata.trim() === "" ? undefined : problemAt(readObject(metadata));
  const found = {
    ...(target !== "all" && text.trim() === "" && { names: "Say whom it is for." }),
    ...((type.trim() === "" || type.endsWith(".")) && { type: "Say which type it is." }),
    ...(ttl.trim() !== "" && !(Number(ttl) >= 0.001) && { ttl: "Say how many seconds, such as 60." }),
    ...(dataAt !== undefined && { dataAt }),
    ...(metadataAt !== undefined && { metadataAt }),
  };
  return { ...found, local: Object.keys(found).length > 0 };
}

function problemAt(read: ReturnType<typeof readJson>): JsonProblem | undefined {
  return "problem" in read ? read.problem : undefined;
}

/** The field that a refusal is about. */
export const fieldOf: Readonly<Record<string, "names" | "type" | "data" | "key">> = {
  "bad-topic": "names",
  "no-target": "names",
  "bad-type": "type",
  "bad-payload": "data",
  "bad-idempotency-key": "key",
  "idempotency-key-reused": "key",
};

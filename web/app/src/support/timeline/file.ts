import { count } from "../../format";
import { type LogRecord, membersOf } from "../record";

/** A job's timeline as it is kept in a file. */
export interface Saved {
  readonly format: typeof format;
  readonly job: string;
  readonly saved_at: string;
  readonly events: readonly LogRecord[];
}

const format = "herald.timeline/1";

/** What a file may be at most. */
export const limits = { bytes: 64 << 20, events: 100_000, depth: 64 } as const;

/** Says why a file is not shown. */
export class FileError extends Error {}

/** The timeline as the text of a file. */
export function writeFile(job: string, events: readonly LogRecord[], now: Date): string {
  const saved: Saved = { format, job, saved_at: now.toISOString(), events };
  return `${JSON.stringify(saved, null, 1)}\n`;
}

/**
 * Reads what writeFile wrote. Whoever made the file may have meant harm, so nothing of
 * it is taken that was not looked at; throws a FileError that says what is wrong.
 */
export function readFile(text: string): Saved {
  const saved = membersOf(parse(text));
  if (saved["format"] !== format) {
    throw new FileError(
      `This is no timeline of a job: its format is not ${format}. Choose a file that Download JSON made.`,
    );
  }
  const { job, saved_at, events } = saved;
  if (typeof job !== "string" || !/^[0-9a-f-]{36}$/i.test(job))
    throw new FileError("The file does not say of which job it is.");
  if (!isTime(saved_at)) throw new FileError("The file does not say when it was made.");
  if (!Array.isArray(events)) throw new FileError("The file has no list of events.");
  if (events.length > limits.events) {
    throw new FileError(`The file has ${count(events.length)} events; at most ${count(limits.events)} can be shown.`);
  }
  const records: LogRecord[] = [];
  for (const event of events as unknown[]) records.push(recordOf(event, records));
  return { format, job, saved_at, events: records };
}

function parse(text: string): unknown {
  if (text.length > limits.bytes) {
    throw new FileError(`The file is larger than ${String(limits.bytes >> 20)} MiB, which is more than can be shown.`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new FileError("The file is not JSON. Choose a file that Download JSON made.");
  }
}

/** One event of the file, with nothing but what an event has. */
function recordOf(value: unknown, before: readonly LogRecord[]): LogRecord {
  const at = `Event ${count(before.length + 1)} of the file`;
  const { seq, id, type, time, recorded_at, job_id, job_version, actor, topics, data } = membersOf(value);
  if (typeof seq !== "number" || !Number.isSafeInteger(seq) || seq < 1) throw new FileError(`${at} has no seq.`);
  if (seq <= (before.at(-1)?.seq ?? 0)) throw new FileError(`${at} is out of order.`);
  if (!isText(id, 100) || !isText(actor, 200)) throw new FileError(`${at} has no id, or does not say who caused it.`);
  if (!isText(type, 100) || !/^[a-z][a-z0-9._-]*$/.test(type)) throw new FileError(`${at} has no type.`);
  if (!isTime(time) || !isTime(recorded_at)) throw new FileError(`${at} has no time.`);
  if (isDeeperThan(data, limits.depth)) throw new FileError(`${at} is nested too deep.`);
  return {
    ...{ seq, id, type, time, recorded_at, actor, data },
    ...(isText(job_id, 36) ? { job_id } : {}),
    ...(typeof job_version === "number" && Number.isSafeInteger(job_version) ? { job_version } : {}),
    ...(Array.isArray(topics) ? { topics: topics.filter((t) => isText(t, 200)) } : {}),
  };
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === "string" && value.length <= longest;
}

function isTime(value: unknown): value is string {
  return isText(value, 40) && /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value));
}

/** Looks level by level, so that no nesting, however deep, is too deep for it. */
function isDeeperThan(value: unknown, depth: number): boolean {
  let level: unknown[] = [value];
  for (let n = 0; level.length > 0; n++) {
    if (n > depth) return true;
    level = level.flatMap((v): unknown[] => (typeof v === "object" && v !== null ? Object.values(v) : []));
  }
  return false;
}

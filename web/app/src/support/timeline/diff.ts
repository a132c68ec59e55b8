import { membersOf } from "../record";

/** One field that two versions differ in; undefined where a version does not have it. */
export interface Change {
  readonly path: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** How deep, and how many; what is beyond is compared and shown as a whole, or left out. */
const deepest = 6;
const most = 200;
const longest = 400;

/** What nobody asks about comes last: it changes with each event. */
const dull: readonly string[] = ["version", "updated_at", "heartbeat_at"];

/** The fields in which two versions of a job differ. Its parts are compared too, those of a list by their names or places. */
export function differences(before: unknown, after: unknown): Change[] {
  const changes: Change[] = [];
  compare("", before, after, deepest, changes);
  return [...changes.filter((c) => !dull.includes(c.path)), ...changes.filter((c) => dull.includes(c.path))];
}

function compare(path: string, before: unknown, after: unknown, depth: number, changes: Change[]): void {
  if (changes.length >= most || same(before, after)) return;
  const [from, to] = [partsOf(before), partsOf(after)];
  if (depth === 0 || from === undefined || to === undefined) {
    changes.push({ path, from: show(before), to: show(after) });
    return;
  }
  for (const name of new Set([...from.keys(), ...to.keys()])) {
    compare(path === "" ? name : `${path}.${name}`, from.get(name), to.get(name), depth - 1, changes);
  }
}

/** The parts of an object or a list by their names; undefined for what has none. */
function partsOf(value: unknown): Map<string, unknown> | undefined {
  if (Array.isArray(value)) {
    return new Map(value.map((part: unknown, i) => [nameOf(part) ?? String(i + 1), part]));
  }
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)) : undefined;
}

function nameOf(part: unknown): string | undefined {
  const { name } = membersOf(part);
  return typeof name === "string" && name !== "" ? name : undefined;
}

function same(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

function show(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

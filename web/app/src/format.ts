// How numbers, sizes and times are written on the page.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const nbsp = "\u00a0";

/** A count with thousands separated: 1,200. */
export function count(n: number): string {
  return whole.format(n);
}

/**
 * A share of the whole as a percentage. It is rounded down, so that 100 % is
 * shown for nothing but a share that is complete.
 */
export function percent(share: number): string {
  return `${String(Math.floor(Math.min(Math.max(share, 0), 1) * 100 + 1e-9))}${nbsp}%`;
}

/** A number of bytes in decimal units, as download dialogues show it. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const whole = Math.round(value * 10) % 10 === 0 && value >= 9.95;
  const places = unit > 0 && !whole && (value < 9.95 || unit > 2) ? 1 : 0;
  return `${value.toFixed(places)}${nbsp}${units[unit] ?? ""}`;
}

/** How long something took: milliseconds at first, tenths below ten seconds, then seconds, minutes, hours. */
export function duration(ms: number): string {
  const seconds = Math.max(ms, 0) / 1000;
  if (seconds < 0.095) return `${Math.round(seconds * 1000).toFixed(0)}${nbsp}ms`;
  return seconds < 9.95 ? `${seconds.toFixed(1)}${nbsp}s` : elapsed(ms);
}

/** A duration that is still growing: whole seconds, so that it ticks evenly. */
export function elapsed(ms: number): string {
  const seconds = Math.floor(Math.max(ms, 0) / 1000);
  if (seconds < 60) return `${String(seconds)}${nbsp}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return [minutes, "min", pad(seconds % 60), "s"].join(nbsp);
  return [Math.floor(minutes / 60), "h", pad(minutes % 60), "min"].join(nbsp);
}

/** A position in a recording: 0:07, 12:30, 1:02:03. */
export function position(ms: number): string {
  const seconds = Math.floor(Math.max(ms, 0) / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)}:${pad(seconds % 60)}`;
  return `${String(Math.floor(minutes / 60))}:${pad(minutes % 60)}:${pad(seconds % 60)}`;
}

/** How long ago something happened. */
export function ago(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${String(seconds)}${nbsp}s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)}${nbsp}min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${String(hours)}${nbsp}h ago`;
  return `${String(Math.floor(hours / 24))} days ago`;
}

/**
 * What an estimate of the time left is worth saying. An estimate is coarse, so
 * its words are too: they do not flicker with each report.
 */
export function timeLeft(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 2) return "almost there";
  if (seconds <= 10) return "a few seconds left";
  if (seconds < 60) return `about ${String(Math.ceil(seconds / 5) * 5)}${nbsp}s left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${String(minutes)}${nbsp}min left`;
  const quarters = Math.round(minutes / 15) / 4;
  return quarters === 1 ? `about an hour left` : `about ${String(quarters)}${nbsp}h left`;
}

/** A unit that times are told in: its size, and the steps that are worth telling. */
interface Unit {
  readonly name: string;
  readonly size: number;
  readonly step: number;
}

const second: Unit = { name: "s", size: 1000, step: 1000 };
const seconds: Unit = { name: "s", size: 1000, step: 5000 };
const minute: Unit = { name: "min", size: 60_000, step: 60_000 };
const hour: Unit = { name: "h", size: 3_600_000, step: 1_800_000 };

/**
 * A range of times in words: 3 to 5 min. It is rounded outwards, to what is worth
 * saying of its high end, so that what was in the range is in its words.
 */
export function range(low: number, high: number): string {
  const unit = high <= 10_000 ? second : high <= 60_000 ? seconds : high <= 3_600_000 ? minute : hour;
  const finer = unit === hour ? minute : unit === minute ? { ...seconds, step: 10_000 } : unit;
  const most = (Math.ceil(high / unit.step) * unit.step) / unit.size;
  const to = `${String(most)}${nbsp}${unit.name}`;
  const from = low < unit.step ? finer : unit;
  const least = (Math.floor(low / from.step) * from.step) / from.size;
  if (least <= 0) return `up to ${to}`;
  if (from.name !== unit.name) return `${String(least)}${nbsp}${from.name} to ${to}`;
  return least === most ? to : `${String(least)} to ${to}`;
}

/** What a range for the time left is worth saying. */
export function rangeLeft(low: number, high: number): string {
  return high <= 10_000 ? timeLeft(high) : `${range(low, high)} left`;
}

/** An instant in the reader's zone, exact to the second. */
export function instant(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** A sentence of Herald's, which has times in UTC, with them in the reader's zone. */
export function withTimes(text: string): string {
  return text.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) UTC/g, (_, day: string, time: string) =>
    instant(`${day}T${time}Z`),
  );
}

/** A time of day in the reader's zone. */
export function clockTime(iso: string): string {
  return new Date(iso).toLocaleTimeString(undefined, { timeStyle: "medium" });
}

/** A time in the reader's zone, to the second; its day too unless that is today's. */
export function shortTime(iso: string): string {
  const at = new Date(iso);
  if (at.toDateString() === new Date().toDateString()) return clockTime(iso);
  const year = at.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" as const };
  const day = at.toLocaleDateString(undefined, { day: "numeric", month: "short", ...year });
  return `${day}, ${clockTime(iso)}`;
}

/** An identifier in lower case as the first word of a sentence: "mp4_video" is "Mp4 video". */
export function sentence(name: string): string {
  const words = name.replaceAll(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

import type { Job } from "@herald/client";
import { percent } from "./format";
import { shareOf } from "./progress";
import type { JobStore } from "./store";
import { isUnderWay, type Uploads } from "./uploads";

/** Something under way that the tab's title sums up. */
export interface Progressing {
  readonly title: string;
  readonly progress: number;
}

const name = "Herald";

/** The tab's title while these are under way: "42 % · clip.mov – Herald". */
export function titleOf(items: readonly Progressing[]): string {
  const [first] = items;
  if (first === undefined) return name;
  const what = items.length === 1 ? first.title : `${String(items.length)} jobs`;
  return `${percent(mean(items))} · ${what} – ${name}`;
}

/** A tab icon with a ring that is full to the given share, as an address. */
export function ringIcon(share: number): string {
  const around = 2 * Math.PI * 12;
  const ring = `fill="none" stroke-width="6" cx="16" cy="16" r="12"`;
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle ${ring} stroke="#94a3a0" stroke-opacity=".5"/>` +
      `<circle ${ring} stroke="#14a394" stroke-linecap="round" stroke-dasharray="${(share * around).toFixed(1)} 99" transform="rotate(-90 16 16)"/></svg>`,
  )}`;
}

/**
 * Keeps the tab's title and icon true until the function that it returns is
 * called, which puts both back.
 */
export function followInTab(store: JobStore, uploads: Uploads, icon: HTMLLinkElement | null): () => void {
  const plainIcon = icon?.href ?? "";
  const show = () => {
    const items = [...uploadsOf(uploads), ...store.active().map(progressOf)];
    setIfNew(document, "title", titleOf(items));
    if (icon !== null) setIfNew(icon, "href", items.length === 0 ? plainIcon : ringIcon(coarse(mean(items))));
  };
  const ends = [store.subscribeAny(show), uploads.subscribe(show)];
  show();
  return () => {
    for (const end of ends) end();
    document.title = name;
    if (icon !== null) icon.href = plainIcon;
  };
}

function progressOf(job: Job): Progressing {
  return { title: job.title, progress: shareOf(job) ?? 0 };
}

function uploadsOf(uploads: Uploads): Progressing[] {
  return uploads
    .items()
    .filter(isUnderWay)
    .map((u) => ({ title: u.name, progress: u.loaded / Math.max(u.size, 1) }));
}

function mean(items: readonly Progressing[]): number {
  return items.reduce((sum, item) => sum + item.progress, 0) / Math.max(items.length, 1);
}

/** Browsers draw an icon anew with each change, so it changes in twenty steps. */
function coarse(share: number): number {
  return Math.floor(share * 20) / 20;
}

function setIfNew<K extends string>(target: Record<K, string>, key: K, value: string): void {
  if (target[key] !== value) target[key] = value;
}

import type { Notice } from "./notices";
import { navigate } from "./router";

/** Whether notices go to the system when no tab is looked at, and if not, why. */
export type SystemNotices = "on" | "off" | "blocked" | "unsupported";

const key = "herald.notify";
const changed = "herald:notify";

export function systemNotices(): SystemNotices {
  if (!("Notification" in globalThis)) return "unsupported";
  if (Notification.permission === "denied") return "blocked";
  return Notification.permission === "granted" && localStorage.getItem(key) === "on" ? "on" : "off";
}

export function subscribeSystemNotices(listener: () => void): () => void {
  window.addEventListener(changed, listener);
  window.addEventListener("storage", listener);
  // Who has changed the browser's settings comes back to the page.
  window.addEventListener("focus", listener);
  return () => {
    window.removeEventListener(changed, listener);
    window.removeEventListener("storage", listener);
    window.removeEventListener("focus", listener);
  };
}

/** Switches them, and asks the browser for leave if it has not been asked. */
export async function switchSystemNotices(on: boolean): Promise<void> {
  if (on && (await Notification.requestPermission()) === "granted") localStorage.setItem(key, "on");
  else localStorage.removeItem(key);
  window.dispatchEvent(new Event(changed));
}

const visible = "herald.visible";

/** Holds a lock while this tab is looked at, by which the others know; the function that it returns ends that. */
export function showVisibility(): () => void {
  const locks = (navigator as { locks?: LockManager | null }).locks ?? undefined;
  let release: AbortController | undefined;
  const follow = () => {
    const looked = document.visibilityState === "visible";
    if (!looked || release !== undefined) {
      if (!looked) end();
      return;
    }
    const mine = new AbortController();
    release = mine;
    const held = () =>
      new Promise<void>((resolve) => {
        mine.signal.addEventListener("abort", () => {
          resolve();
        });
        if (mine.signal.aborted) resolve();
      });
    locks?.request(visible, { mode: "shared" }, held).catch(() => undefined);
  };
  const end = () => {
    release?.abort();
    release = undefined;
  };
  follow();
  document.addEventListener("visibilitychange", follow);
  return () => {
    document.removeEventListener("visibilitychange", follow);
    end();
  };
}

/** How long the tab that tells of a notice keeps the others from it: they hear of the event at about the same time. */
const holdTime = 10_000;

/** Tells the system of a notice, if it is switched on, no tab is looked at, and no other tab tells of it. */
export async function tellSystem(notice: Notice): Promise<void> {
  if (systemNotices() !== "on") return;
  const locks = (navigator as { locks?: LockManager | null }).locks ?? undefined;
  if (locks === undefined) {
    show(notice);
    return;
  }
  if ((await locks.query()).held?.some((lock) => lock.name === visible)) return;
  await locks.request(`herald.notice ${String(notice.seq)}`, { ifAvailable: true }, async (lock) => {
    if (lock === null) return;
    show(notice);
    await new Promise((resolve) => setTimeout(resolve, holdTime));
  });
}

function show({ seq, title, text, link }: Notice): void {
  try {
    const shown = new Notification(title, { body: text, tag: `herald-${String(seq)}`, icon: "/favicon.svg" });
    shown.addEventListener("click", () => {
      window.focus();
      if (link.startsWith("/")) navigate(link);
      shown.close();
    });
  } catch {
    // Some phones take these from a service worker alone: the notice is in the centre all the same.
  }
}

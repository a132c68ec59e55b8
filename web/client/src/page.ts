/** What a page may go through, as the browser calls it. */
type PageEvent = "pageshow" | "pagehide" | "online" | "offline" | "freeze" | "resume" | "visibilitychange";

const ofDocument: readonly string[] = ["freeze", "resume", "visibilitychange"] satisfies PageEvent[];

/** Calls the listeners in the page's life until the signal. Without a page, nothing is ever called. */
export function followPage(
  listeners: Partial<Record<PageEvent, () => void>>,
  options: { readonly signal: AbortSignal; readonly capture?: boolean },
): void {
  if (typeof window === "undefined") return;
  for (const [type, listener] of Object.entries(listeners)) {
    const target = ofDocument.includes(type) ? document : window;
    target.addEventListener(type, listener, options);
  }
}

/** Whether somebody can see the page; without one, nobody sees what comes. */
export function pageVisible(): boolean {
  return typeof document !== "undefined" && document.visibilityState === "visible";
}

/** Whether there is a page, and nobody can see it. */
export function pageHidden(): boolean {
  return typeof document !== "undefined" && document.visibilityState === "hidden";
}

/** Whether there is a network, as far as is known: Node has a navigator that does not know. */
export function online(): boolean {
  return typeof window === "undefined" || navigator.onLine;
}

/**
 * Calls code that is not ours: what it throws must not break a connection, nor be lost. Reports whether it has
 * returned.
 */
export function callOut(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (err) {
    setTimeout(() => {
      throw err;
    });
    return false;
  }
}

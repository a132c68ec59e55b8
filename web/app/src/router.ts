import { useSyncExternalStore } from "react";

/** Where the reader is. The pages of support read the rest of their address themselves. */
export type Route =
  | { name: "jobs" }
  | { name: "job"; id: string }
  | { name: "support" }
  | { name: "dev"; part: DevPart }
  | { name: "nowhere" };

/** A part of the developer's page. */
export type DevPart = "publish" | "webhooks" | "stream" | "load";

/** Reads an address. */
export function parseRoute(pathname: string): Route {
  if (pathname === "/") return { name: "jobs" };
  if (pathname === "/support" || pathname.startsWith("/support/")) return { name: "support" };
  const dev = /^\/dev(?:\/(publish|webhooks|stream|load))?\/?$/.exec(pathname);
  if (dev !== null) return { name: "dev", part: (dev[1] ?? "publish") as DevPart };
  const id = /^\/jobs\/([0-9a-fA-F-]{36})\/?$/.exec(pathname)?.[1];
  return id === undefined ? { name: "nowhere" } : { name: "job", id: id.toLowerCase() };
}

const navigated = "herald:navigated";

/**
 * Goes to an address of this app, its query included, without loading the page anew; to its top, unless the reader is to
 * stay where they are.
 */
export function navigate(address: string, { keepPlace = false } = {}): void {
  if (address === location.pathname + location.search) return;
  history.pushState(null, "", address);
  window.dispatchEvent(new Event(navigated));
  if (!keepPlace) window.scrollTo(0, 0);
}

/** Puts another query into the address, in the place of the last one; the reader stays where they are. */
export function replaceQuery(query: string): void {
  history.replaceState(history.state, "", location.pathname + (query === "" ? "" : `?${query}`));
  window.dispatchEvent(new Event(navigated));
}

/** The current route; a component that uses it renders again when it changes. */
export function useRoute(): Route {
  return parseRoute(usePath());
}

/** The path of the current address. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** The query of the current address, with its question mark. */
export function useQuery(): string {
  return useSyncExternalStore(subscribe, () => location.search);
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  window.addEventListener(navigated, changed);
  return () => {
    window.removeEventListener("popstate", changed);
    window.removeEventListener(navigated, changed);
  };
}

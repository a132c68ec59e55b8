import { useSyncExternalStore } from "react";

/** Where the reader is. */
export type Route = { name: "jobs" } | { name: "job"; id: string } | { name: "nowhere" };

/** Reads an address. */
export function parseRoute(pathname: string): Route {
  if (pathname === "/") return { name: "jobs" };
  const id = /^\/jobs\/([0-9a-fA-F-]{36})\/?$/.exec(pathname)?.[1];
  return id === undefined ? { name: "nowhere" } : { name: "job", id: id.toLowerCase() };
}

const navigated = "herald:navigated";

/** Goes to a path of this app without loading the page anew. */
export function navigate(path: string): void {
  if (path === location.pathname) return;
  history.pushState(null, "", path);
  window.dispatchEvent(new Event(navigated));
  window.scrollTo(0, 0);
}

/** The current route; a component that uses it renders again when it changes. */
export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => location.pathname));
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  window.addEventListener(navigated, changed);
  return () => {
    window.removeEventListener("popstate", changed);
    window.removeEventListener(navigated, changed);
  };
}

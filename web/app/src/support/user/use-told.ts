import { useCallback, useEffect, useRef, useState } from "react";
import { messageOf } from "../../live";
import { ask } from "../api";
import type { ToldRecord } from "../then/history";

/** What has been read of what a user was told. */
export interface Told {
  readonly path: string;
  readonly status: "reading" | "ready" | "failed";
  readonly events: readonly ToldRecord[];
  /** Where the older ones are; empty when there are none. */
  readonly next: string;
  readonly error: string;
}

/** So many are shown at most; beyond that, a narrower filter is the better way. */
export const mostTold = 5000;

interface Page {
  readonly events: readonly ToldRecord[];
  readonly next: string;
}

/** Reads what a user was told, the newest first, page by page. */
export function useTold(path: string): { told: Told; older: () => void; again: () => void } {
  const empty: Told = { path, status: "reading", events: [], next: path, error: "" };
  const [kept, setTold] = useState(empty);
  const told = kept.path === path ? kept : empty;
  const stopping = useRef(new AbortController());

  const read = useCallback((from: Told) => {
    stopping.current.abort();
    const { signal } = (stopping.current = new AbortController());
    ask<Page>(from.next, signal).then(
      (page) => {
        if (signal.aborted) return;
        const events = from.events.concat(page.events);
        setTold({ ...from, status: "ready", events, next: events.length >= mostTold ? "" : page.next, error: "" });
      },
      (err: unknown) => {
        if (!signal.aborted) setTold({ ...from, status: "failed", error: messageOf(err) });
      },
    );
  }, []);
  useEffect(() => {
    read({ path, status: "reading", events: [], next: path, error: "" });
    return () => {
      stopping.current.abort();
    };
  }, [path, read]);

  const older = () => {
    if (told.status !== "ready" || told.next === "") return;
    const reading: Told = { ...told, status: "reading" };
    setTold(reading);
    read(reading);
  };
  const again = () => {
    const reading: Told = { ...told, status: "reading", error: "" };
    setTold(reading);
    read(reading);
  };
  return { told, older, again };
}

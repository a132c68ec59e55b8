import { useCallback, useEffect, useState } from "react";
import { messageOf } from "../live";
import { ask } from "./api";

interface Heard<T> {
  readonly path: string;
  readonly answer: T | undefined;
  readonly error: string;
}

/** What has been heard of a question. */
export interface Answer<T> {
  readonly answer: T | undefined;
  readonly error: string;
  readonly busy: boolean;
  readonly again: () => void;
}

/** What the server answers at an address; undefined asks nothing. What is no longer wanted is not waited for. */
export function useAnswer<T>(path: string | undefined): Answer<T> {
  const [heard, setHeard] = useState<Heard<T>>();
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (path === undefined) return undefined;
    const stopping = new AbortController();
    ask<T>(path, stopping.signal).then(
      (answer) => {
        if (!stopping.signal.aborted) setHeard({ path, answer, error: "" });
      },
      (err: unknown) => {
        if (!stopping.signal.aborted) setHeard({ path, answer: undefined, error: messageOf(err) });
      },
    );
    return () => {
      stopping.abort();
    };
  }, [path, tries]);
  const again = useCallback(() => {
    setHeard(undefined);
    setTries((n) => n + 1);
  }, []);
  const current = heard?.path === path ? heard : undefined;
  return {
    answer: current?.answer,
    error: current?.error ?? "",
    busy: path !== undefined && current === undefined,
    again,
  };
}

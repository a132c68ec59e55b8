import type { StreamState } from "@herald/client";
import { type ReactElement, useEffect, useState } from "react";
import { useConnection } from "../desk";

const words: Record<StreamState, string> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
  closed: "Disconnected",
};

const dots: Record<StreamState, string> = {
  connecting: "bg-faint animate-pulse-dot",
  live: "bg-accent",
  reconnecting: "bg-warn-fill animate-pulse-dot",
  offline: "bg-bad",
  closed: "bg-bad",
};

/** Whether what the page shows is so now. */
export function ConnectionBadge(): ReactElement {
  const state = useConnection();
  return (
    <p
      role="status"
      data-connection={state}
      className="inline-flex h-7 min-w-0 items-center gap-2 rounded-full px-2.5 text-sm text-soft ring-1 ring-line ring-inset"
    >
      <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${dots[state]}`} />
      <span className="truncate">{words[state]}</span>
    </p>
  );
}

/** How long a break lasts before it is worth more than the badge. */
const patience = 2500;

/** Says what a longer break means for the page. */
export function ConnectionNotice(): ReactElement | null {
  const state = useConnection();
  const broken = state !== "live";
  const [long, setLong] = useState(false);
  useEffect(() => {
    if (!broken) return undefined;
    const timer = setTimeout(() => {
      setLong(true);
    }, patience);
    return () => {
      clearTimeout(timer);
      setLong(false);
    };
  }, [broken]);

  if (!broken || !long) return null;
  return (
    <p className="animate-appear rounded-xl bg-warn-tint px-4 py-2.5 text-sm text-ink">
      <span className="font-medium text-warn">
        {state === "offline" ? "You are offline." : "Herald cannot be reached."}
      </span>{" "}
      Nothing is lost: this page catches up by itself.
    </p>
  );
}

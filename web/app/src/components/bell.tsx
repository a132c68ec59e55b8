import { type ReactElement, useId, useRef, useState, useSyncExternalStore } from "react";
import { useDesk, useTime } from "../desk";
import { ago, instant } from "../format";
import type { Notice } from "../notices";
import { subscribeSystemNotices, switchSystemNotices, systemNotices } from "../system-notices";
import { Button } from "./button";
import { BellIcon } from "./icons";
import { NoticeView } from "./notice";

/** The notification centre: what came lately, and how many of it nobody has read. */
export function Bell(): ReactElement {
  const { news } = useDesk();
  const { notices, unread } = useSyncExternalStore(news.subscribe, news.view);
  const menu = useId();
  const box = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  // What was unread when it was opened stays marked while it is open.
  const [readUpTo, setReadUpTo] = useState(Infinity);
  return (
    <>
      <Button
        look="quiet"
        popoverTarget={menu}
        aria-haspopup="dialog"
        aria-label={unread === 0 ? "Notifications" : `Notifications, ${String(unread)} unread`}
        className="relative !px-2"
      >
        <BellIcon size={18} />
        {unread > 0 && (
          <span className="absolute top-0 end-0 grid h-4 min-w-4 place-items-center rounded-full bg-accent px-1 text-[0.6875rem] leading-none font-semibold text-on-accent tabular-nums">
            {unread > 9 ? "9+" : unread}
          </span>
        )}
      </Button>
      <div
        ref={box}
        id={menu}
        popover="auto"
        role="dialog"
        aria-label="Notifications"
        onToggle={(event) => {
          const opened = event.newState === "open";
          setOpen(opened);
          if (!opened) return;
          setReadUpTo(notices[unread]?.seq ?? 0);
          news.markRead();
        }}
        className="absolute inset-auto top-14 end-[max(0.75rem,calc(50vw-26.5rem))] max-h-[min(36rem,calc(100dvh-5rem))] w-[min(24rem,calc(100vw-1.5rem))] overflow-y-auto rounded-xl bg-card text-ink shadow-lg ring-1 ring-line"
      >
        <h2 className="px-4 pt-3.5 pb-2 font-medium">Notifications</h2>
        {open && (
          <List
            notices={notices}
            readUpTo={readUpTo}
            onFollow={() => {
              box.current?.hidePopover();
            }}
          />
        )}
        <SystemSwitch />
      </div>
    </>
  );
}

interface ListProps {
  readonly notices: readonly Notice[];
  readonly readUpTo: number;
  readonly onFollow: () => void;
}

function List({ notices, readUpTo, onFollow }: ListProps): ReactElement {
  const now = useTime();
  if (notices.length === 0) {
    return <p className="px-4 pb-4 text-sm text-soft">Nothing yet. What ends, and what others tell you, shows here.</p>;
  }
  return (
    <ul className="divide-y divide-line border-t border-line">
      {notices.map((notice) => (
        <li key={notice.seq} className={`px-4 py-3 ${notice.seq > readUpTo ? "bg-tint/50" : ""}`}>
          <NoticeView
            notice={notice}
            onFollow={onFollow}
            aside={
              <time
                dateTime={notice.time}
                title={instant(notice.time)}
                className="shrink-0 text-xs leading-5 text-soft"
              >
                {ago(now - Date.parse(notice.time))}
              </time>
            }
          />
          {notice.seq > readUpTo && <span className="sr-only">New</span>}
        </li>
      ))}
    </ul>
  );
}

const why = {
  on: "While no tab of Herald is looked at, your system tells you when a job ends.",
  off: "While no tab of Herald is looked at, your system can tell you when a job ends. Your browser asks you first.",
  blocked:
    "Your browser blocks notifications from this site. Allow them in its settings for the site, beside the address, then come back.",
  unsupported: "This browser shows no notifications of pages.",
};

/** Whether the system tells of what happens while nobody looks. The browser is asked by this switch, and never before. */
function SystemSwitch(): ReactElement {
  const state = useSyncExternalStore(subscribeSystemNotices, systemNotices);
  const label = useId();
  const hint = useId();
  const usable = state === "on" || state === "off";
  const on = state === "on";
  return (
    <div className="sticky bottom-0 border-t border-line bg-card px-4 py-3">
      <div className="flex items-center justify-between gap-3">
        <span id={label} className="text-sm font-medium">
          Tell me when I look elsewhere
        </span>
        <button
          type="button"
          role="switch"
          aria-checked={on}
          aria-labelledby={label}
          aria-describedby={hint}
          aria-disabled={!usable || undefined}
          onClick={() => {
            if (usable) void switchSystemNotices(!on);
          }}
          className={`relative h-6 w-10 shrink-0 rounded-full transition-colors ${on ? "bg-accent" : "bg-edge"} ${usable ? "" : "!cursor-not-allowed opacity-60"}`}
        >
          <span
            className={`absolute top-0.5 start-0.5 size-5 rounded-full bg-white shadow-sm transition-transform ${on ? "translate-x-4 rtl:-translate-x-4" : ""}`}
          />
        </button>
      </div>
      <p id={hint} className={`mt-1 text-[0.8125rem] leading-snug ${state === "blocked" ? "text-warn" : "text-soft"}`}>
        {why[state]}
      </p>
    </div>
  );
}

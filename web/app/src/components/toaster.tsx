import { type ReactElement, useEffect, useState, useSyncExternalStore } from "react";
import { useDesk } from "../desk";
import type { Notice } from "../notices";
import { CrossIcon } from "./icons";
import { NoticeView } from "./notice";

/** How long a toast stays; a failure has more to read. */
const shownFor = { good: 6000, plain: 8000, bad: 12_000 };

/**
 * Notices for somebody who looks elsewhere on the page. Pointing at one, or
 * having the focus in one, keeps all of them. The Announcer tells screen readers.
 */
export function Toaster(): ReactElement {
  const { news } = useDesk();
  const { toasts } = useSyncExternalStore(news.subscribe, news.view);
  const [held, setHeld] = useState(false);
  // A toast that goes takes the pointer and the focus with it, and says nothing of that.
  const hold = held && toasts.length > 0;
  return (
    <section
      aria-label="Notices"
      className="pointer-events-none fixed inset-x-3 bottom-3 z-40 flex flex-col items-end sm:start-auto sm:w-96"
      onMouseEnter={() => {
        setHeld(true);
      }}
      onMouseLeave={() => {
        setHeld(false);
      }}
      onFocus={() => {
        setHeld(true);
      }}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setHeld(false);
      }}
      onKeyDown={(event) => {
        const last = toasts.at(-1);
        if (event.key === "Escape" && last !== undefined) news.dismiss(last.seq);
      }}
    >
      <ul className="w-full space-y-2">
        {toasts.map((notice) => (
          <li key={notice.seq}>
            <Toast
              notice={notice}
              held={hold}
              onGone={() => {
                if (toasts.length === 1) setHeld(false);
                news.dismiss(notice.seq);
              }}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

interface ToastProps {
  readonly notice: Notice;
  readonly held: boolean;
  readonly onGone: () => void;
}

function Toast({ notice, held, onGone }: ToastProps): ReactElement {
  const { news } = useDesk();
  const { seq, tone } = notice;
  useEffect(() => {
    if (held) return undefined;
    const timer = setTimeout(() => {
      news.dismiss(seq);
    }, shownFor[tone]);
    return () => {
      clearTimeout(timer);
    };
  }, [news, seq, tone, held]);
  return (
    <div className="pointer-events-auto animate-appear rounded-xl bg-card p-3.5 shadow-lg ring-1 ring-edge">
      <NoticeView
        notice={notice}
        onFollow={onGone}
        aside={
          <button
            type="button"
            onClick={onGone}
            aria-label={`Dismiss: ${notice.title}`}
            className="-m-1 grid size-7 shrink-0 place-items-center rounded-md text-soft hover:bg-well hover:text-ink"
          >
            <CrossIcon size={14} />
          </button>
        }
      />
    </div>
  );
}

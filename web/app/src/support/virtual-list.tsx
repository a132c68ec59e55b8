import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactElement, type ReactNode, useCallback, useEffect, useRef, useState } from "react";

interface VirtualListProps<T> {
  readonly label: string;
  readonly items: readonly T[];
  readonly keyOf: (item: T) => number;
  readonly children: (item: T) => ReactNode;
  /** Called when the reader has scrolled to the end. */
  readonly onEnd?: () => void;
}

/** How high a row is before it has been measured, in pixels. */
const rowHeight = 45;

/**
 * A list that draws the rows near the window alone, and scrolls with the page. The
 * arrow keys go from row to row; what they focus is the first button of a row.
 */
export function VirtualList<T>({ label, items, keyOf, children, onEnd }: VirtualListProps<T>): ReactElement {
  const list = useRef<HTMLUListElement>(null);
  const [top, setTop] = useState(0);
  const follow = useCallback((element: HTMLUListElement) => {
    list.current = element;
    const measure = () => {
      setTop(Math.round(element.getBoundingClientRect().top + window.scrollY));
    };
    measure();
    // What stands above the list and changes moves it, and changes the size of something that holds both.
    const observer = new ResizeObserver(measure);
    for (let at = element.parentElement; at !== null; at = at.parentElement) observer.observe(at);
    return () => {
      observer.disconnect();
      list.current = null;
    };
  }, []);
  const virtual = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: top,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : keyOf(item);
    },
  });
  const rows = virtual.getVirtualItems();
  const atEnd = (rows.at(-1)?.index ?? -1) >= items.length - 1;
  useEffect(() => {
    if (atEnd && items.length > 0 && window.scrollY > 0) onEnd?.();
  }, [atEnd, items.length, onEnd]);

  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || !(event.target instanceof HTMLButtonElement)) return;
    const from = Number(event.target.closest("li")?.dataset["index"]);
    if (Number.isNaN(from) || event.target !== buttonOf(list.current, from)) return;
    event.preventDefault();
    const to = Math.min(Math.max(from + step, 0), items.length - 1);
    virtual.scrollToIndex(to, { align: "auto" });
    requestAnimationFrame(() => buttonOf(list.current, to)?.focus({ preventScroll: true }));
  };

  return (
    <ul
      ref={follow}
      aria-label={label}
      className="relative"
      style={{ height: virtual.getTotalSize() }}
      onKeyDown={move}
    >
      {rows.map((row) => {
        const item = items[row.index];
        if (item === undefined) return null;
        return (
          <li
            key={row.key}
            ref={virtual.measureElement}
            data-index={row.index}
            aria-setsize={items.length}
            aria-posinset={row.index + 1}
            className="absolute top-0 start-0 w-full border-b border-line last:border-b-0"
            style={{ transform: `translateY(${String(row.start - top)}px)` }}
          >
            {children(item)}
          </li>
        );
      })}
    </ul>
  );
}

function buttonOf(list: HTMLUListElement | null, index: number): HTMLButtonElement | null {
  return list?.querySelector<HTMLButtonElement>(`li[data-index="${String(index)}"] button`) ?? null;
}

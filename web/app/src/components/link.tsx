import type { MouseEvent, ReactElement, ReactNode } from "react";
import { navigate } from "../router";

interface LinkProps {
  readonly to: string;
  readonly className?: string;
  /** It leads to where the reader is. */
  readonly current?: boolean;
  readonly children: ReactNode;
}

/** A link to another page of this app; opening it in a new tab works as anywhere. */
export function Link({ to, className, current = false, children }: LinkProps): ReactElement {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.currentTarget.closest<HTMLElement>("[popover]:popover-open")?.hidePopover();
    navigate(to);
  };
  return (
    <a href={to} className={className} aria-current={current ? "page" : undefined} onClick={follow}>
      {children}
    </a>
  );
}

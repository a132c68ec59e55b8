import { createContext, type RefCallback, useCallback, useState } from "react";

/** How far from the window something still counts as in sight: it is ready when it is scrolled there. */
const margin = "400px 0px";

/** Whether what is around it can be seen, or soon: what cannot does not tick, and follows its job by turns. */
export const SightContext = createContext(true);

let watcher: IntersectionObserver | undefined;
const watched = new WeakMap<Element, (inSight: boolean) => void>();

/** Whether the element that has the reference is in sight. */
export function useInSight<E extends Element>(): [ref: RefCallback<E>, inSight: boolean] {
  const [inSight, setInSight] = useState(true);
  const ref = useCallback((element: E | null) => {
    if (element === null || typeof IntersectionObserver === "undefined") return undefined;
    watcher ??= new IntersectionObserver(tell, { rootMargin: margin });
    watched.set(element, setInSight);
    watcher.observe(element);
    return () => watcher?.unobserve(element);
  }, []);
  return [ref, inSight];
}

function tell(entries: readonly IntersectionObserverEntry[]): void {
  for (const { target, isIntersecting } of entries) watched.get(target)?.(isIntersecting);
}

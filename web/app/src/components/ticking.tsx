import type { ReactElement } from "react";
import { useTime } from "../desk";
import { ago, elapsed, instant, position } from "../format";

/** The time since an instant, ticking. */
export function Elapsed({ since }: { readonly since: number }): ReactElement {
  return <>{elapsed(useTime() - since)}</>;
}

/** How long ago an instant was, ticking, with the exact instant on hover. */
export function Ago({ iso }: { readonly iso: string }): ReactElement {
  return (
    <time dateTime={iso} title={instant(iso)}>
      {ago(useTime() - Date.parse(iso))}
    </time>
  );
}

/** A countdown to an instant, then the given words. */
export function Countdown({ to, after }: { readonly to: string; readonly after: string }): ReactElement {
  const left = Date.parse(to) - useTime();
  return <>{left > 0 ? `in ${position(Math.ceil(left / 1000) * 1000)}` : after}</>;
}

import type { ReactElement } from "react";
import { Link } from "../components/link";
import { useTime } from "../desk";
import { elapsed, instant } from "../format";
import type { Connection } from "./api";
import { Ending } from "./ending";
import { userPlace } from "./place";
import { clientOf, paceOf, reasonOf, topicsOf } from "./streams";

const tones = { good: "text-accent", warn: "text-warn", plain: "text-faint" };

interface ConnectionRowProps {
  readonly connection: Connection;
  readonly admin: boolean;
  readonly onChanged: () => void;
}

/** One stream: whose it is, where it comes from, what it follows, how far it is, and how it ended. */
export function ConnectionRow({ connection: c, admin, onChanged }: ConnectionRowProps): ReactElement {
  const pace = paceOf(c);
  return (
    <li className="grid gap-x-6 gap-y-1 px-3 py-3 text-sm sm:grid-cols-[1.2fr_1.4fr_1.4fr_auto] sm:items-center sm:px-4">
      <div className="min-w-0">
        <p className="flex min-w-0 items-center gap-2">
          <span
            aria-hidden="true"
            className={`size-2 shrink-0 rounded-full ${c.closed_at === null ? "bg-accent" : "bg-edge"}`}
          />
          <Link to={userPlace(c.user)} className="truncate font-medium underline-offset-2 hover:underline">
            {c.user}
          </Link>
        </p>
        <p className="truncate ps-4 text-xs text-faint" title={c.node}>
          on {c.node}
        </p>
      </div>
      <div className="min-w-0 ps-4 sm:ps-0">
        <p className="truncate" title={c.user_agent}>
          {clientOf(c.user_agent)}
        </p>
        <p className="truncate text-xs text-faint">
          <Address address={c.address} />
          {c.session !== "" && `, session ${c.session}`}
        </p>
      </div>
      <div className="min-w-0 ps-4 sm:ps-0">
        <p className={c.closed_at === null ? tones[pace.tone] : "text-soft"}>
          {c.closed_at === null ? pace.text : reasonOf(c)}
        </p>
        <Topics connection={c} />
      </div>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1 ps-4 sm:justify-end sm:ps-0">
        <Since connection={c} />
        {c.closed_at === null && <End connection={c} admin={admin} onChanged={onChanged} />}
      </div>
    </li>
  );
}

function Address({ address }: { readonly address: string | null }): ReactElement {
  if (address === null) {
    return <span title="It came through a proxy that is trusted and did not say whose it is.">Address not known</span>;
  }
  if (address === "::1" || address.startsWith("127.")) {
    const title = `${address}: a program there, or a proxy there that did not say whose it is.`;
    return <span title={title}>This machine</span>;
  }
  return <span>{address}</span>;
}

function Topics({ connection }: { readonly connection: Connection }): ReactElement {
  const topics = topicsOf(connection).join(", ");
  const types = connection.filter?.types?.join(", ") ?? "";
  const text = types === "" ? topics : `${topics} (only ${types})`;
  return (
    <p className="truncate text-xs text-faint" title={text}>
      {text}
    </p>
  );
}

function Since({ connection: c }: { readonly connection: Connection }): ReactElement {
  const now = useTime();
  const opened = instant(c.opened_at);
  if (c.closed_at === null) {
    return (
      <time dateTime={c.opened_at} title={`Since ${opened}`} className="text-soft tabular-nums">
        for {elapsed(now - Date.parse(c.opened_at))}
      </time>
    );
  }
  return (
    <span className="text-xs text-soft tabular-nums sm:text-end">
      <time dateTime={c.opened_at}>{opened}</time>
      <br />
      to <time dateTime={c.closed_at}>{instant(c.closed_at)}</time>
    </span>
  );
}

function End({ connection: c, admin, onChanged }: ConnectionRowProps): ReactElement {
  if (c.close_asked_at !== null) return <span className="text-warn">Ending, asked by {c.close_asked_by}</span>;
  return (
    <Ending what={`this stream of ${c.user}`} path={`/api/connections/${c.id}`} allowed={admin} onDone={onChanged}>
      Disconnect
    </Ending>
  );
}

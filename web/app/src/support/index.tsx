import type { Session } from "@herald/client";
import type { ReactElement } from "react";
import { Link } from "../components/link";
import { usePath } from "../router";
import { isSupport } from "../session";
import { ConnectionsPage } from "./connections-page";
import { LivePage } from "./live-page";
import { parsePlace, type Place } from "./place";
import { QueuePage } from "./queue/queue-page";
import { SearchPage } from "./search-page";
import { Shell } from "./shell";
import { ThenPage } from "./then/then-page";
import { JobPage } from "./timeline/job-page";
import { UserPage } from "./user/user-page";

/** The support desk: whoever may not look into others' things is told who may. */
export default function SupportDesk({ session }: { readonly session: Session }): ReactElement {
  const place = parsePlace(usePath());
  if (!isSupport(session)) return <NotForYou session={session} />;
  return (
    <Shell place={place} session={session}>
      <SupportPage place={place} session={session} />
    </Shell>
  );
}

function SupportPage({ place, session }: { readonly place: Place; readonly session: Session }): ReactElement {
  switch (place.name) {
    case "search":
      return <SearchPage session={session} />;
    case "live":
      return <LivePage />;
    case "connections":
      return <ConnectionsPage session={session} />;
    case "queue":
      return <QueuePage session={session} />;
    case "job":
      return <JobPage key={place.id} id={place.id} />;
    case "user":
      return <UserPage key={place.id} user={place.id} />;
    case "then":
      return <ThenPage key={place.id} user={place.id} />;
    case "nowhere":
      return <Nowhere />;
  }
}

function Nowhere(): ReactElement {
  return (
    <div className="py-20 text-center">
      <h1 className="text-lg font-medium">There is no such page</h1>
      <Link to="/support" className="text-accent underline underline-offset-2">
        Search the log
      </Link>
    </div>
  );
}

function NotForYou({ session }: { readonly session: Session }): ReactElement {
  const roles = session.roles.length === 0 ? "no role" : session.roles.join(", ");
  return (
    <div className="mx-auto max-w-md py-20 text-center">
      <h1 className="text-lg font-medium">This is for support</h1>
      <p className="mt-1 text-soft">
        These pages show what belongs to others, so they are open to the roles support and admin. You are{" "}
        <span className="font-medium break-words text-ink">{session.user}</span> ({roles}). Whoever runs Herald can give
        you one of the two.
      </p>
      <Link to="/" className="mt-4 inline-block text-accent underline underline-offset-2">
        Your jobs
      </Link>
    </div>
  );
}

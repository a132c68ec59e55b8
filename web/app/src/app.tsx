import type { HeraldClient, Session } from "@herald/client";
import { lazy, type ReactElement, useEffect, useState } from "react";
import { Announcer } from "./components/announcer";
import { Bell } from "./components/bell";
import { ConnectionBadge, ConnectionNotice } from "./components/connection";
import { Header, SupportLink, UserMenu } from "./components/header";
import { Later } from "./components/later";
import { Link } from "./components/link";
import { PresetsContext, useLoadedPresets } from "./components/presets";
import { Toaster } from "./components/toaster";
import { type Desk, DeskContext, newDesk, openDesk, SessionContext } from "./desk";
import { JobPage } from "./pages/job";
import { JobsPage } from "./pages/jobs";
import { SignedOutPage } from "./pages/signed-out";
import { UnreachablePage } from "./pages/unreachable";
import { type Route, useRoute } from "./router";
import { useSession } from "./session";
import { followInTab } from "./title";

const SupportDesk = lazy(() => import("./support"));
const DevPage = lazy(() => import("./dev/page"));

/** Pages that need more than the width of a text. */
const wide: ReadonlySet<Route["name"]> = new Set(["support", "dev"]);

interface AppProps {
  readonly client: HeraldClient;
  /** The token of a sign-in link. */
  readonly token: string | undefined;
}

/** The app: who is here decides what is shown. */
export function App({ client, token }: AppProps): ReactElement | null {
  const { state, again, signOut, expire } = useSession(client, token);
  switch (state.status) {
    case "loading":
      return null;
    case "unreachable":
      return <UnreachablePage onAgain={again} />;
    case "signed-out":
      return <SignedOutPage why={state.why} />;
    case "signed-in":
      return (
        <SignedIn
          key={state.session.user}
          client={client}
          session={state.session}
          onSignOut={signOut}
          onExpired={expire}
        />
      );
  }
}

interface SignedInProps {
  readonly client: HeraldClient;
  readonly session: Session;
  readonly onSignOut: () => Promise<void>;
  readonly onExpired: () => void;
}

function SignedIn({ client, session, onSignOut, onExpired }: SignedInProps): ReactElement {
  const desk = useOpenDesk(client, session.user, onExpired);
  const [presets, presetsAgain] = useLoadedPresets(client);
  const route = useRoute();
  return (
    <SessionContext value={session}>
      <DeskContext value={desk}>
        <PresetsContext value={presets}>
          <div className={wide.has(route.name) ? "[--page-width:76rem]" : undefined}>
            <Header>
              <SupportLink session={session} here={route.name === "support"} />
              <ConnectionBadge />
              <Bell />
              <UserMenu session={session} onSignOut={onSignOut} />
            </Header>
            <main className="mx-auto max-w-(--page-width) space-y-5 px-4 pt-1 pb-24 sm:px-6">
              <ConnectionNotice />
              <Page route={route} session={session} onPresetsAgain={presetsAgain} />
            </main>
          </div>
          <Toaster />
          <Announcer />
        </PresetsContext>
      </DeskContext>
    </SessionContext>
  );
}

interface PageProps {
  readonly route: Route;
  readonly session: Session;
  readonly onPresetsAgain: () => void;
}

function Page({ route, session, onPresetsAgain }: PageProps): ReactElement {
  switch (route.name) {
    case "jobs":
      return <JobsPage onPresetsAgain={onPresetsAgain} />;
    case "job":
      return <JobPage key={route.id} id={route.id} />;
    case "support":
      return (
        <Later>
          <SupportDesk session={session} />
        </Later>
      );
    case "dev":
      if (session.development !== true) break;
      return (
        <Later>
          <DevPage session={session} part={route.part} />
        </Later>
      );
    case "nowhere":
  }
  return (
    <div className="py-20 text-center">
      <h1 className="text-lg font-medium">There is no such page</h1>
      <Link to="/" className="text-accent underline underline-offset-2">
        All jobs
      </Link>
    </div>
  );
}

/** A desk that is open for as long as the component is there. */
function useOpenDesk(client: HeraldClient, user: string, onExpired: () => void): Desk {
  const [desk] = useState(() => newDesk(client, user, onExpired));
  useEffect(() => openDesk(desk), [desk]);
  useEffect(() => followInTab(desk.store, desk.uploads, document.querySelector<HTMLLinkElement>("#favicon")), [desk]);
  return desk;
}

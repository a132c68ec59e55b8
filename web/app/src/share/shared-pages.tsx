import type { HeraldClient, Job, Shared } from "@herald/client";
import { type ReactElement, type ReactNode, useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { Announcer } from "../components/announcer";
import { ConnectionBadge, ConnectionNotice } from "../components/connection";
import { Files } from "../components/files";
import { ThemeSwitch } from "../components/header";
import { History, useHistory } from "../components/history";
import { Mark } from "../components/icons";
import { JobView } from "../components/job-view";
import { Panel } from "../components/panel";
import { StepTimeline } from "../components/step-timeline";
import { DeskContext, openDesk, useDesk, useJob } from "../desk";
import { UnreachablePage } from "../pages/unreachable";
import { followInTab } from "../title";
import { videoResult } from "../video";
import { enter, guestClient, guestDesk, secretOf, type Visit } from "./guest";
import { until } from "./when";

/** What somebody without an account sees, who came by a link to one job. */
export function SharedPages(): ReactElement | null {
  const secret = secretOf(useSyncExternalStore(onHashChange, () => location.hash));
  return <Visited key={secret} secret={secret} />;
}

function onHashChange(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => {
    window.removeEventListener("hashchange", changed);
  };
}

function Visited({ secret }: { readonly secret: string }): ReactElement | null {
  const [client] = useState(() => guestClient(secret));
  const [visit, setVisit] = useState<Visit>(
    secret === "" ? { status: "closed", why: "unknown" } : { status: "loading" },
  );
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (secret === "") return undefined;
    let current = true;
    void enter(secret).then((entered) => {
      if (current) setVisit(entered);
    });
    return () => {
      current = false;
    };
  }, [secret, tries]);
  const again = useCallback(() => {
    setTries((n) => n + 1);
  }, []);
  switch (visit.status) {
    case "loading":
      return null;
    case "unreachable":
      return <UnreachablePage onAgain={again} />;
    case "closed":
      return <ClosedPage why={visit.why} />;
    case "open":
      return <OpenPage client={client} secret={secret} shared={visit.shared} onEnd={again} />;
  }
}

function Top({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <header className="mx-auto flex w-full max-w-4xl flex-wrap items-center justify-end gap-x-3 gap-y-2 px-4 pt-4 pb-3 sm:px-6">
      <p className="me-auto flex items-center gap-2.5 text-lg font-semibold tracking-tight">
        <Mark />
        Herald
      </p>
      {children}
    </header>
  );
}

const endings = {
  expired: {
    title: "This link has expired",
    text: "It was good for a while, and that is over. Ask whoever sent it to you for a new one.",
  },
  revoked: {
    title: "This link was revoked",
    text: "Whoever shared the job has taken the link back. Ask them for a new one if you still need it.",
  },
  unknown: {
    title: "This link leads nowhere",
    text: "A part of it may be missing, or the job has been deleted. Open it exactly as you got it, or ask for a new one.",
  },
};

function ClosedPage({ why }: { readonly why: keyof typeof endings }): ReactElement {
  useTitle(endings[why].title);
  return (
    <>
      <Top>
        <ThemeSwitch />
      </Top>
      <main className="mx-auto max-w-md px-6 pt-[12vh]">
        <h1 className="text-2xl font-semibold tracking-tight">{endings[why].title}</h1>
        <p className="mt-3 text-soft">{endings[why].text}</p>
      </main>
    </>
  );
}

function useTitle(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
}

interface OpenPageProps {
  readonly client: HeraldClient;
  readonly secret: string;
  readonly shared: Shared;
  readonly onEnd: () => void;
}

function OpenPage({ client, secret, shared, onEnd }: OpenPageProps): ReactElement {
  const [desk] = useState(() => guestDesk(client, secret, shared.job_id, onEnd));
  useEffect(() => openDesk(desk), [desk]);
  useEffect(() => followInTab(desk.store, desk.uploads, document.querySelector<HTMLLinkElement>("#favicon")), [desk]);
  return (
    <DeskContext value={desk}>
      <Top>
        <ConnectionBadge />
        <ThemeSwitch />
      </Top>
      <main className="mx-auto max-w-4xl space-y-4 px-4 pb-24 sm:px-6">
        <p className="text-sm break-words text-soft">
          Shared by <span className="font-medium text-ink">{shared.shared_by}</span> until{" "}
          <time dateTime={shared.expires_at}>{until(shared.expires_at)}</time>
        </p>
        <ConnectionNotice />
        <SharedJob id={shared.job_id} />
      </main>
      <Announcer />
    </DeskContext>
  );
}

function SharedJob({ id }: { readonly id: string }): ReactElement {
  const job = useJob(id);
  const { store } = useDesk();
  const list = useSyncExternalStore(store.subscribeList, store.list);
  if (job !== undefined) return <Detail job={job} />;
  return (
    <p className="py-14 text-center text-soft">
      {list.status === "loading" ? "Reading the job" : "There is no such job any more. It may have been deleted."}
    </p>
  );
}

function Detail({ job }: { readonly job: Job }): ReactElement {
  const [open, setOpen] = useState(true);
  const files = videoResult(job)?.artifacts ?? [];
  const { log, state, chapters } = useHistory(job);
  return (
    <>
      <JobView
        job={job}
        heading={
          <h1 dir="auto" className="text-lg leading-6 font-semibold break-words">
            {job.title}
          </h1>
        }
        open={open}
        onOpen={setOpen}
        steps={<StepTimeline job={job} events={state.events} />}
      />
      <div className={files.length === 0 ? "" : "grid items-start gap-3 md:grid-cols-[1fr_20rem]"}>
        <Panel title="What happened">
          <History job={job} log={log} state={state} chapters={chapters} />
        </Panel>
        {files.length > 0 && (
          <Panel title="Files">
            <Files artifacts={files} />
          </Panel>
        )}
      </div>
    </>
  );
}

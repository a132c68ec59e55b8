import type { ReactElement } from "react";
import { useConnection } from "../desk";
import { Button } from "./button";
import { Link } from "./link";

interface NoJobProps {
  /** It is certain that the reader has no such job. */
  readonly gone: boolean;
  /** Why it could not be read. */
  readonly error: string;
  readonly onAgain: () => void;
}

/** What stands where a job would, while it is read, and when there is none. */
export function NoJob({ gone, error, onAgain }: NoJobProps): ReactElement {
  const connection = useConnection();
  if (gone) {
    return (
      <Notice title="There is no such job" text="It may have been deleted, or it belongs to somebody else.">
        <Link to="/" className="text-accent underline underline-offset-2">
          All your jobs
        </Link>
      </Notice>
    );
  }
  if (error !== "") {
    const offline = connection === "offline";
    return (
      <Notice
        title={offline ? "You are offline" : "The job could not be read"}
        text={offline ? "The job is shown as soon as there is a connection." : error}
      >
        {!offline && <Button onClick={onAgain}>Try again</Button>}
      </Notice>
    );
  }
  return <Skeleton />;
}

interface NoticeProps {
  readonly title: string;
  readonly text: string;
  readonly children: ReactElement | false;
}

function Notice({ title, text, children }: NoticeProps): ReactElement {
  return (
    <div className="rounded-2xl bg-card px-6 py-14 text-center ring-1 ring-line">
      <h1 className="text-lg font-medium">{title}</h1>
      <p className="mx-auto mt-1 mb-4 max-w-sm text-soft">{text}</p>
      {children}
    </div>
  );
}

/** The shape of the page to come. */
function Skeleton(): ReactElement {
  return (
    <div aria-busy="true" className="animate-pulse space-y-5">
      <p className="sr-only">Reading the job</p>
      <div className="space-y-5 rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
        <div className="flex items-center gap-3">
          <div className="size-6 rounded-full bg-well" />
          <div className="h-5 w-1/3 rounded bg-well" />
          <div className="ms-auto h-7 w-14 rounded bg-well" />
        </div>
        <div className="h-2.5 rounded-full bg-well" />
        <div className="h-9 rounded bg-well" />
      </div>
      <div className="grid gap-5 md:grid-cols-[1fr_18rem]">
        <div className="h-56 rounded-2xl bg-card ring-1 ring-line" />
        <div className="h-40 rounded-2xl bg-card ring-1 ring-line" />
      </div>
    </div>
  );
}

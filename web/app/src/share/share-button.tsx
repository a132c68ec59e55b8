import type { Job } from "@herald/client";
import { type ReactElement, useId, useRef, useState } from "react";
import { Button } from "../components/button";
import { CrossIcon, ShareIcon } from "../components/icons";
import { ShareForm } from "./share-form";

/** Opens a dialog in which a job is shared by links, and links are revoked. */
export function ShareButton({ job }: { readonly job: Job }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const [open, setOpen] = useState(false);
  const title = useId();
  return (
    <div className="-mt-12.5 flex justify-end">
      <Button
        look="quiet"
        aria-haspopup="dialog"
        className="-me-3"
        onClick={() => {
          setOpen(true);
          dialog.current?.showModal();
        }}
      >
        <ShareIcon size={14} />
        Share
      </Button>
      <dialog
        ref={dialog}
        aria-labelledby={title}
        onClose={() => {
          setOpen(false);
        }}
        onClick={(event) => {
          if (event.target === event.currentTarget) event.currentTarget.close(); // beside it
        }}
        className="m-auto w-[min(30rem,calc(100vw-1.5rem))] rounded-2xl bg-card text-ink shadow-lg ring-1 ring-line backdrop:bg-black/40"
      >
        <div className="space-y-4 p-5">
          <header className="flex items-start gap-3">
            <h2 id={title} className="me-auto font-semibold">
              Share this job
            </h2>
            <Button
              look="quiet"
              aria-label="Close"
              className="-mt-1 -me-2 px-2"
              onClick={() => dialog.current?.close()}
            >
              <CrossIcon size={14} />
            </Button>
          </header>
          {open && <ShareForm id={job.id} />}
        </div>
      </dialog>
    </div>
  );
}

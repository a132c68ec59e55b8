import type { Share } from "@herald/client";
import { type ReactElement, useEffect, useRef, useState } from "react";
import { Button } from "../components/button";
import { Choice } from "../components/choice";
import { useDesk } from "../desk";
import { messageOf } from "../live";
import { until } from "./when";

const hour = 3600;
const lives = [
  { value: String(hour), label: "1 hour" },
  { value: String(24 * hour), label: "1 day" },
  { value: String(7 * 24 * hour), label: "1 week" },
  { value: String(30 * 24 * hour), label: "30 days" },
] as const;
type Life = (typeof lives)[number]["value"];

/** Makes links to a job, and lists those that show it. */
export function ShareForm({ id }: { readonly id: string }): ReactElement {
  const { client } = useDesk();
  const [life, setLife] = useState<Life>(lives[2].value);
  const [files, setFiles] = useState(false);
  const [link, setLink] = useState("");
  /** Those that are good, as of the last reading. */
  const [shares, setShares] = useState<readonly Share[]>([]);
  const [changes, setChanges] = useState(0);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  const run = (act: () => Promise<void>) => {
    setBusy(true);
    setError("");
    act()
      .catch((err: unknown) => {
        setError(messageOf(err));
      })
      .finally(() => {
        setBusy(false);
      });
  };
  useEffect(() => {
    let current = true;
    client.shares(id).then(
      (list) => {
        if (current) setShares(list.shares.filter(isGood));
      },
      (err: unknown) => {
        if (current) setError(messageOf(err));
      },
    );
    return () => {
      current = false;
    };
  }, [client, id, changes]);

  const make = async () => {
    const made = await client.shareJob(id, { expires_in: Number(life), files });
    setLink(new URL(made.url, location.origin).href);
    setChanges((n) => n + 1);
  };
  const revoke = async (share: Share) => {
    await client.revokeShare(id, share.id);
    setLink("");
    setChanges((n) => n + 1);
  };

  return (
    <>
      <p className="text-sm text-soft">
        Whoever has the link sees this job live, without an account, and can change nothing.
      </p>
      <Choice legend="The link is good for" fill options={lives} value={life} onChange={setLife} />
      <label className="flex items-center gap-2 text-sm">
        <input
          type="checkbox"
          className="size-4 accent-accent"
          checked={files}
          onChange={(event) => {
            setFiles(event.target.checked);
          }}
        />
        Also show the files that it makes
      </label>
      <Button
        look="primary"
        why={busy ? "One moment." : undefined}
        onClick={() => {
          run(make);
        }}
      >
        Make a link
      </Button>
      {link !== "" && <Made key={link} link={link} />}
      {error !== "" && (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
      {shares.length > 0 && (
        <section aria-label="Links">
          <h3 className="mb-1 text-sm font-medium text-soft">Links that show this job</h3>
          <ul className="max-h-48 divide-y divide-line overflow-y-auto text-sm">
            {shares.map((share) => (
              <LinkRow
                key={share.id}
                share={share}
                onRevoke={() => {
                  run(() => revoke(share));
                }}
              />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function isGood(share: Share): boolean {
  return share.revoked_at === null && Date.parse(share.expires_at) > Date.now();
}

/** The link, to be copied now: nobody can read it again. */
function Made({ link }: { readonly link: string }): ReactElement {
  const field = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    field.current?.select();
  }, []);
  const copy = () => {
    field.current?.select();
    navigator.clipboard.writeText(link).then(
      () => {
        setCopied(true);
      },
      () => {
        setCopied(document.execCommand("copy")); // eslint-disable-line @typescript-eslint/no-deprecated -- where there is no clipboard, as over plain HTTP
      },
    );
  };
  return (
    <div className="space-y-1.5">
      <div className="flex gap-2">
        <input
          ref={field}
          readOnly
          aria-label="Link"
          value={link}
          className="h-8 min-w-0 flex-1 rounded-lg bg-well px-3 text-sm text-ink"
        />
        <Button onClick={copy}>Copy</Button>
      </div>
      <p role="status" className="text-sm text-soft">
        {copied ? "Copied." : "Copy it now: it is not shown again."}
      </p>
    </div>
  );
}

function LinkRow({ share, onRevoke }: { readonly share: Share; readonly onRevoke: () => void }): ReactElement {
  return (
    <li className="flex items-center gap-3 py-1.5">
      <p className="min-w-0 flex-1">
        Until {until(share.expires_at)}
        <span className="block text-faint">
          {share.files ? "With files" : "Without files"},{" "}
          {share.opened_at === null ? "not opened yet" : `first opened ${until(share.opened_at)}`}
        </span>
      </p>
      <Button look="danger" onClick={onRevoke} aria-label={`Revoke the link until ${until(share.expires_at)}`}>
        Revoke
      </Button>
    </li>
  );
}

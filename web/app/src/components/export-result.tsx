import { type ReactElement, type ReactNode, useEffect, useState } from "react";
import { useDesk } from "../desk";
import type { ExportResult } from "../export";
import { bytes, count } from "../format";
import { messageOf } from "../live";
import { mostRows, readPreview, type Table, whyNoPreview } from "../preview";
import { Button } from "./button";
import { copyText, CopyButton } from "./copy-button";
import { DownloadIcon, FileIcon, LinkIcon } from "./icons";

/** What an export has made: its file, what is known of it, and its first rows. */
export default function ExportView({ result }: { readonly result: ExportResult }): ReactElement {
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-3">
        <span className="grid size-9 shrink-0 place-items-center rounded-lg bg-tint text-accent">
          <FileIcon size={18} />
        </span>
        <div className="min-w-0 flex-1 basis-48">
          <p className="truncate font-medium" title={result.artifact.name}>
            {result.artifact.name}
          </p>
          <p className="text-sm text-soft tabular-nums">
            {count(result.rows)} {result.rows === 1 ? "row" : "rows"}, {bytes(result.size)}
          </p>
        </div>
        <FileLinks result={result} />
      </div>
      <p className="flex items-center gap-2 text-sm text-soft">
        <span className="shrink-0">SHA-256</span>
        <code className="min-w-0 truncate font-mono text-[0.8125rem]" title={result.sha256}>
          {result.sha256}
        </code>
        <CopyButton text={result.sha256} label="Copy the SHA-256" />
      </p>
      <Preview result={result} />
    </div>
  );
}

/** For how long a link to the file is good, in seconds. */
const linkSeconds = 3600;
/** For how long the link of a download is good: it is used at once. */
const downloadSeconds = 300;

function FileLinks({ result }: { readonly result: ExportResult }): ReactElement {
  const { client } = useDesk();
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState({ text: "", bad: false });
  const { id, name } = result.artifact;
  const run = (act: () => Promise<string>) => {
    setBusy(true);
    act()
      .then(
        (text) => {
          setSaid({ text, bad: false });
        },
        (err: unknown) => {
          setSaid({ text: messageOf(err), bad: true });
        },
      )
      .finally(() => {
        setBusy(false);
      });
  };
  const download = async () => {
    const { url } = await client.linkArtifact(id, downloadSeconds);
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    return "";
  };
  const share = async () => {
    const { url } = await client.linkArtifact(id, linkSeconds);
    const link = new URL(url, location.href).href;
    return copyText(link).then(
      () => "Link copied. It works for an hour, for whoever has it.",
      () => link,
    );
  };
  const why = busy ? "One moment." : undefined;
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button
        look="primary"
        why={why}
        onClick={() => {
          run(download);
        }}
      >
        <DownloadIcon size={14} />
        Download
      </Button>
      <Button
        why={why}
        onClick={() => {
          run(share);
        }}
      >
        <LinkIcon size={14} />
        Copy link
      </Button>
      <p
        role={said.bad ? "alert" : "status"}
        className={`w-full text-sm break-all empty:hidden ${said.bad ? "text-bad" : "text-soft"}`}
      >
        {said.text}
      </p>
    </div>
  );
}

function Preview({ result }: { readonly result: ExportResult }): ReactElement {
  const why = whyNoPreview(result);
  const [read, setRead] = useState<{ table?: Table; error?: string }>({});
  useEffect(() => {
    if (why !== "") return undefined;
    const stop = new AbortController();
    readPreview(result.artifact.url, result, stop.signal).then(
      (table) => {
        setRead({ table });
      },
      (err: unknown) => {
        if (stop.signal.aborted) return;
        setRead({ error: err instanceof TypeError ? "The file could not be read." : messageOfFile(err) });
      },
    );
    return () => {
      stop.abort();
    };
  }, [result, why]);

  if (why !== "") return <Note>{why}</Note>;
  if (read.error !== undefined) return <Note>{read.error}</Note>;
  if (read.table === undefined) {
    return (
      <div aria-busy="true" className="h-40 animate-pulse rounded-lg bg-well">
        <p className="sr-only">Reading the first rows</p>
      </div>
    );
  }
  if (read.table.rows.length === 0) return <Note>The file has no rows.</Note>;
  return <Rows table={read.table} of={result.rows} />;
}

function messageOfFile(err: unknown): string {
  return err instanceof Error ? err.message : "The file could not be read.";
}

function Note({ children }: { readonly children: ReactNode }): ReactElement {
  return <p className="rounded-lg bg-well px-3 py-2.5 text-sm text-soft">{children}</p>;
}

function Rows({ table, of }: { readonly table: Table; readonly of: number }): ReactElement {
  const whole = table.rows.length >= of;
  return (
    <figure>
      <div
        tabIndex={0}
        role="region"
        aria-label="The first rows"
        className="max-h-96 overflow-auto rounded-lg ring-1 ring-line"
      >
        <table className="w-full border-separate border-spacing-0 text-start text-[0.8125rem] leading-5">
          <thead>
            <tr>
              {table.columns.map((name, i) => (
                <th
                  key={i}
                  scope="col"
                  className="sticky top-0 border-b border-line bg-well px-3 py-1.5 text-start font-medium whitespace-nowrap"
                >
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row, r) => (
              <tr key={r} className="hover:bg-page">
                {table.columns.map((_, i) => (
                  <td
                    key={i}
                    title={row[i] ?? ""}
                    className="max-w-80 truncate border-b border-line px-3 py-1 tabular-nums"
                  >
                    {row[i] ?? <span className="text-faint">–</span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <figcaption className="mt-1.5 text-sm text-faint tabular-nums">
        {whole
          ? `All ${count(table.rows.length)} rows`
          : `The first ${count(Math.min(table.rows.length, mostRows))} of ${count(of)} rows`}
        {table.moreColumns > 0 && `, without the last ${count(table.moreColumns)} columns`}
      </figcaption>
    </figure>
  );
}

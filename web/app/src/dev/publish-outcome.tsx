import { type ReactElement, useState } from "react";
import { messageOf as errorOf } from "../live";
import { type Answer, ask, problemIn } from "./api";
import type { Message, MessageForm } from "./message";
import { Code, Panel, pretty } from "./parts";
import { fieldOf } from "./publish-check";

/** What became of a message. */
export interface Sent {
  /** What was asked for: what is wrong with it is wrong until it changes. */
  readonly form: MessageForm;
  readonly dryRun: boolean;
  readonly answer: Answer;
  readonly refused: Partial<Record<"names" | "type" | "data" | "key", string>>;
  readonly error: string;
}

/** Publishes a message, or tries it out. */
export function useSending() {
  const [sent, setSent] = useState<Sent>();
  const [busy, setBusy] = useState(false);
  const send = async (form: MessageForm, message: Message, dryRun: boolean) => {
    const { key } = form;
    setBusy(true);
    try {
      const answer = await ask("POST", `/api/sse/message${dryRun ? "?dry_run=true" : ""}`, {
        body: JSON.stringify(message),
        ...(key !== "" && { headers: { "idempotency-key": key } }),
      });
      const problem = problemIn(answer);
      const field = fieldOf[problem?.type ?? ""];
      const refused = problem !== undefined && field !== undefined ? { [field]: problem.message } : {};
      setSent({ form, dryRun, answer, refused, error: problem?.message ?? "" });
    } catch (err) {
      setSent({ form, dryRun, answer: { status: 0, body: "", json: undefined }, refused: {}, error: errorOf(err) });
    } finally {
      setBusy(false);
    }
  };
  return { sent, busy, send };
}

interface Reached {
  readonly event_id: string | null;
  readonly addressed: number | null;
  readonly repeated?: boolean;
  readonly reaches?: readonly { readonly user: string }[];
}

/** What the server has answered, in words and as it is. */
export function Outcome({ sent }: { readonly sent: Sent | undefined }): ReactElement {
  return (
    <Panel title="The answer">
      <div role="status" className="space-y-3">
        {sent === undefined ? (
          <p className="text-sm text-soft">Publish the message, or see first whom it would reach.</p>
        ) : sent.error !== "" ? (
          <p className="font-medium text-bad">{sent.error}</p>
        ) : (
          <p className="font-medium">{inWords(sent)}</p>
        )}
        {sent !== undefined && sent.answer.status > 0 && (
          <Code label={`Status ${String(sent.answer.status)}`} text={pretty(sent.answer.json, sent.answer.body)} />
        )}
      </div>
    </Panel>
  );
}

function inWords({ dryRun, answer }: Sent): string {
  const { addressed, reaches = [], repeated } = answer.json as Reached;
  if (dryRun) {
    const users = new Set(reaches.map((stream) => stream.user)).size;
    const many = reaches.length < (addressed ?? 0) ? "at least " : "";
    return addressed === 0
      ? "It would reach nobody now. It would be in the log for those who come later."
      : `It would reach ${counted(addressed ?? 0, "connection")} of ${many}${counted(users, "user")}.`;
  }
  if (repeated === true) return "Its key was seen before: this is the event of the first time.";
  return addressed === null ? "Published." : `Published, to ${counted(addressed, "connection")}.`;
}

function counted(n: number, what: string): string {
  return `${String(n)} ${what}${n === 1 ? "" : "s"}`;
}

import { type ReactElement, type SyntheticEvent, useState } from "react";
import { Button } from "../components/button";
import { Disclosure } from "../components/disclosure";
import { shortTime, withTimes } from "../format";
import type { Deliveries as Became, Delivery, Explanation, Recipient, Stage } from "./api";
import { Field } from "./field";
import { useAnswer } from "./use-answer";

const stages: Record<Stage, string> = {
  "": "no stream was to get it",
  filtered: "held back by the stream's filter",
  missed: "the stream ended before it was sent",
  pending: "still to be sent",
  replaced: "newer progress was sent in its place",
  written: "sent",
  acknowledged: "arrived",
  seen: "seen",
};

const ways: Record<Recipient["way"], string> = {
  "": "",
  live: "live",
  replay: "after they came back",
  snapshot: "as part of a fresh start",
};

const good: readonly Stage[] = ["acknowledged", "seen", "written"];
const bad: readonly Stage[] = ["missed", "filtered", ""];

interface DeliveriesProps {
  readonly seq: number;
  /** Whom the question why is about, until the reader says another. */
  readonly suggested: string;
}

/** What became of an event, and why somebody did not get it. */
export function Deliveries({ seq, suggested }: DeliveriesProps): ReactElement {
  const { answer, error, busy, again } = useAnswer<Became>(`/api/events/${String(seq)}/deliveries`);
  return (
    <section aria-label="What became of it" className="space-y-3">
      <h2 className="font-medium">What became of it</h2>
      {busy && <p className="text-faint">Looking at the streams</p>}
      {error !== "" && (
        <p role="alert" className="flex flex-wrap items-center gap-3 text-bad">
          {error} <Button onClick={again}>Try again</Button>
        </p>
      )}
      {answer !== undefined && <Outcome became={answer} />}
      <Why key={suggested} seq={seq} suggested={suggested} />
    </section>
  );
}

function Outcome({ became }: { readonly became: Became }): ReactElement {
  const { recipients, deliveries, next } = became;
  return (
    <>
      {recipients.length === 0 && deliveries.length === 0 && (
        <p className="text-soft">It names no user, and no stream was to get it.</p>
      )}
      <ul className="space-y-1">
        {recipients.map((r) => (
          <li key={r.user}>
            <span className="font-medium break-words">{r.user}</span>:{" "}
            <span className={r.way === "snapshot" && r.stage === "" ? "text-soft" : lookOf(r.stage)}>
              {r.stage === "" && r.way === "snapshot" ? "got the jobs as they stood, later" : stages[r.stage]}
            </span>
            <span className="text-faint">
              {r.way !== "" && r.stage !== "" && `, ${ways[r.way]}`}
              {!r.online && ", was not connected at the time"}
            </span>
          </li>
        ))}
      </ul>
      {deliveries.length > 0 && <Streams deliveries={deliveries} more={next !== ""} />}
    </>
  );
}

function lookOf(stage: Stage): string {
  if (good.includes(stage)) return "text-accent";
  return bad.includes(stage) ? "text-bad" : "text-warn";
}

function Streams({
  deliveries,
  more,
}: {
  readonly deliveries: readonly Delivery[];
  readonly more: boolean;
}): ReactElement {
  return (
    <Disclosure
      label={deliveries.length === 1 ? "One stream" : `${String(deliveries.length)}${more ? " and more" : ""} streams`}
    >
      <ul className="mt-2 space-y-1.5 border-s border-line ps-3">
        {deliveries.map((d) => (
          <li key={d.client_id}>
            <span className="break-words">{d.user}</span> on {d.node}:{" "}
            <span className={lookOf(d.stage)}>{stages[d.stage]}</span>
            <span className="text-faint">{timesOf(d)}</span>
          </li>
        ))}
      </ul>
    </Disclosure>
  );
}

function timesOf(d: Delivery): string {
  if (d.seen_before !== null) return `, by ${shortTime(d.seen_before)}`;
  if (d.acked_before !== null) return `, by ${shortTime(d.acked_before)}`;
  if (d.written_before !== null) return `, by ${shortTime(d.written_before)}`;
  return "";
}

/** Answers why a user got an event, or did not. */
function Why({ seq, suggested }: DeliveriesProps): ReactElement {
  const [user, setUser] = useState(suggested);
  const [asked, setAsked] = useState("");
  const path = `/api/events/${String(seq)}/explain?user=${encodeURIComponent(asked)}`;
  const { answer, error, busy } = useAnswer<Explanation>(asked === "" ? undefined : path);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    setAsked(user.trim());
  };
  return (
    <div className="space-y-2">
      <form onSubmit={submit} className="flex flex-wrap items-end gap-2">
        <Field
          label="Did this user get it, and why"
          value={user}
          onChange={setUser}
          placeholder="User"
          className="w-44"
        />
        <Button type="submit" why={user.trim() === "" ? "Say which user." : undefined}>
          Explain
        </Button>
      </form>
      <div role="status">
        {busy && <p className="text-faint">Looking at their streams</p>}
        {error !== "" && <p className="text-bad">{error}</p>}
        {answer !== undefined && (
          <>
            <p>
              <span className="font-medium break-words">{answer.user}</span>{" "}
              <span className={answer.received ? "text-accent" : "text-bad"}>
                {answer.received ? "was sent it." : "was not sent it."}
              </span>
            </p>
            <ul className="mt-1 list-disc space-y-1 ps-5 text-soft">
              {answer.findings.map((f, i) => (
                <li key={`${f.code} ${String(i)}`}>{withTimes(f.text)}</li>
              ))}
            </ul>
          </>
        )}
      </div>
    </div>
  );
}

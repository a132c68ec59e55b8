import { type ReactElement, useEffect, useId, useState } from "react";
import { Button } from "../components/button";
import { Choice } from "../components/choice";
import { Disclosure } from "../components/disclosure";
import { CheckIcon, CrossIcon } from "../components/icons";
import { ask, problemIn } from "./api";
import { readJson } from "./json";
import { JsonField } from "./json-field";
import { Code, Panel, pretty, Select, TextField } from "./parts";
import type { Form } from "./sign";
import { deliver, eventIds, type Exchange, findEvents, type Sending, signed, type Signing } from "./webhook-sending";

interface Dev {
  readonly webhook_sources: readonly Form[];
  readonly example_secret?: string;
}

const schemes: Readonly<Record<Form["scheme"], string>> = {
  standard: "Standard Webhooks: id, time and body are signed",
  stripe: "Stripe: time and body are signed",
  hmac: "an HMAC of the body",
};

const signings: readonly { readonly value: Signing; readonly label: string }[] = [
  { value: "well", label: "As it should be" },
  { value: "late", label: "Two hours ago" },
  { value: "wrongly", label: "By somebody else" },
];

/** So many exchanges are shown. */
const mostExchanges = 8;

/** A form that sends webhooks as their service would, and shows what comes of them. */
export function Webhooks({ user, why }: { readonly user: string; readonly why: string | undefined }): ReactElement {
  const [dev, setDev] = useState<Dev>();
  const [error, setError] = useState("");
  const mayAsk = why === undefined;
  useEffect(() => {
    if (!mayAsk) return;
    ask("GET", "/api/dev").then(
      (answer) => {
        const problem = problemIn(answer);
        if (problem === undefined) setDev(answer.json as Dev);
        setError(problem?.message ?? "");
      },
      () => {
        setError("Herald cannot be reached.");
      },
    );
  }, [mayAsk]);
  if (dev !== undefined && dev.webhook_sources.length > 0) return <Tester dev={dev} user={user} />;
  return (
    <Panel title="A webhook">
      <p className={`text-sm ${error === "" ? "text-soft" : "text-bad"}`} role={error === "" ? undefined : "alert"}>
        {error !== ""
          ? error
          : (why ?? (dev === undefined ? "Reading the sources." : "No source is set up: name a file with --webhooks."))}
      </p>
    </Panel>
  );
}

function Tester({ dev, user }: { readonly dev: Dev; readonly user: string }): ReactElement {
  const sources = dev.webhook_sources;
  const [name, setName] = useState((sources.find((s) => s.name === "example") ?? sources[0])?.name ?? "");
  const source = sources.find((s) => s.name === name);
  const isExample = name === "example" && dev.example_secret !== undefined;
  const [secrets, setSecrets] = useState<Readonly<Record<string, string>>>({ example: dev.example_secret ?? "" });
  const [bodies, setBodies] = useState<Readonly<Record<string, string>>>({
    example: pretty({ user, message: "Hello from outside." }),
  });
  const [how, setHow] = useState<Signing>("well");
  const { exchanges, busy, error, send, again } = useExchanges();
  const body = bodies[name] ?? "{}";
  const secret = secrets[name] ?? "";
  const read = readJson(body);

  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <Panel title="A webhook">
        <div className="space-y-4">
          <Select
            label="Source"
            value={name}
            onChange={setName}
            options={sources.map((s) => ({ value: s.name, label: s.name }))}
          />
          <p className="text-sm text-soft">Signed by {schemes[source?.scheme ?? "standard"]}.</p>
          <Secret
            value={secret}
            onChange={(value) => {
              setSecrets({ ...secrets, [name]: value });
            }}
            note={
              isExample && secret === dev.example_secret
                ? "The one that this Herald has made for the example."
                : "It stays in this page."
            }
          />
          <JsonField
            label="Body"
            rows={5}
            value={body}
            onChange={(value) => {
              setBodies({ ...bodies, [name]: value });
            }}
            problem={"problem" in read ? read.problem : undefined}
          />
          <Choice legend="Signed" options={signings} value={how} onChange={setHow} />
          <div className="flex flex-wrap gap-2">
            <Button
              look="primary"
              why={busy ? "Under way." : undefined}
              onClick={() => {
                if (source !== undefined) void send(source, secret, how, body);
              }}
            >
              Sign and send
            </Button>
            <Button why={busy ? "Under way." : exchanges.length === 0 ? "Send one first." : undefined} onClick={again}>
              Send the last one again
            </Button>
          </div>
          {error !== "" && (
            <p role="alert" className="text-sm text-bad">
              {error}
            </p>
          )}
        </div>
      </Panel>
      <Panel title="What came of it">
        {exchanges.length === 0 ? (
          <p className="text-sm text-soft">
            The answer stands here, and the event. Send the same once more, or one that is signed by somebody else, and
            see it refused.
          </p>
        ) : (
          <ol className="space-y-5" aria-live="polite">
            {exchanges.map((exchange) => (
              <ExchangeView key={exchange.n} exchange={exchange} />
            ))}
          </ol>
        )}
      </Panel>
    </div>
  );
}

interface SecretProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly note: string;
}

function Secret({ value, onChange, note }: SecretProps): ReactElement {
  return <TextField label="Secret" mono value={value} onChange={onChange} hint="whsec_…" note={note} />;
}

function useExchanges() {
  const [exchanges, setExchanges] = useState<readonly Exchange[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = async (make: () => Promise<Sending> | Sending) => {
    setBusy(true);
    setError("");
    try {
      const sending = await make();
      const answer = await deliver(sending);
      const ids = eventIds(answer);
      const repeated = ids.length > 0 && exchanges.some((e) => eventIds(e.answer).includes(ids[0] ?? ""));
      const exchange = { n: (exchanges[0]?.n ?? 0) + 1, sending, answer, repeated, events: [] };
      setExchanges([exchange, ...exchanges].slice(0, mostExchanges));
      const events = repeated ? [] : await findEvents(ids);
      setExchanges([{ ...exchange, events }, ...exchanges].slice(0, mostExchanges));
    } catch (err) {
      setError(err instanceof Error && err.name === "Error" ? err.message : "Herald cannot be reached.");
    } finally {
      setBusy(false);
    }
  };
  return {
    exchanges,
    busy,
    error,
    send: (source: Form, secret: string, how: Signing, body: string) =>
      run(() => signed(source, secret, how, `msg_${crypto.randomUUID()}`, body)),
    again: () => {
      const last = exchanges[0];
      if (last !== undefined) void run(() => last.sending);
    },
  };
}

function ExchangeView({ exchange }: { readonly exchange: Exchange }): ReactElement {
  const { n, sending, answer, events } = exchange;
  const id = useId();
  const good = answer.status === 200;
  const headers = Object.entries(sending.headers).map(([name, value]) => `${name}: ${value}`);
  return (
    <li aria-labelledby={id} className="animate-appear space-y-2">
      <h3 id={id} className="flex items-start gap-2 text-sm font-medium">
        <span className={`mt-0.5 ${good ? "text-accent" : "text-bad"}`}>{good ? <CheckIcon /> : <CrossIcon />}</span>
        <span>
          {n}. {inWords(exchange)}
        </span>
      </h3>
      <Code label={`Answer ${String(answer.status)}`} text={pretty(answer.json, answer.body)} />
      {events.map((event) => (
        <Code key={event.id} label={`Event ${event.type}`} text={pretty(event)} />
      ))}
      <Disclosure label="What was sent">
        <div className="mt-2">
          <Code label={`POST /api/webhooks/${sending.source}`} text={`${headers.join("\n")}\n\n${sending.body}`} />
        </div>
      </Disclosure>
    </li>
  );
}

function inWords({ answer, events, repeated }: Exchange): string {
  const problem = problemIn(answer);
  if (problem !== undefined) return `Refused. ${problem.message}.`;
  if (repeated) return "Taken for what it is: the same once more. Nothing was published again.";
  const made = eventIds(answer).length;
  if (made === 0) return "Taken. No rule of its source makes an event of it.";
  if (events.length > 0)
    return made === 1 ? "Taken, and published." : `Taken, and published as ${String(made)} events.`;
  return "Taken, and published. The event is shown here once it is in the log, if it concerns you.";
}

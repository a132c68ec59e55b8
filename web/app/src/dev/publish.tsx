import { type ReactElement, useEffect, useState } from "react";
import { Button } from "../components/button";
import { Choice } from "../components/choice";
import { JsonField } from "./json-field";
import { messageOf, type MessageForm, type TargetKind } from "./message";
import { Panel, pretty, Select, TextField } from "./parts";
import { problemsOf } from "./publish-check";
import { Outcome, useSending } from "./publish-outcome";
import { exampleOf, loadSchemas, membersOf, type Schema } from "./schemas";
import { Snippets } from "./snippets";

const targetLabels: readonly { readonly value: TargetKind; readonly label: string }[] = [
  { value: "user", label: "A user" },
  { value: "users", label: "Users" },
  { value: "client", label: "A client" },
  { value: "channel", label: "A channel" },
  { value: "channels", label: "Channels" },
  { value: "all", label: "Everyone" },
];

const names: Readonly<Record<TargetKind, { label: string; hint: string } | undefined>> = {
  user: { label: "User", hint: "alice" },
  users: { label: "Users, with commas between them", hint: "alice, bob" },
  client: { label: "Client id, as stream.open tells it", hint: "0197f3c2-…" },
  channel: { label: "Channel", hint: "orders" },
  channels: { label: "Channels, with commas between them", hint: "orders, news" },
  all: undefined,
};

const customPrefix = "notification.custom.";
const custom = "custom";
const free = "free";

interface PublishProps {
  readonly user: string;
  /** Why it cannot be published; undefined when it can. */
  readonly why: string | undefined;
  /** The id of the page's own raw stream; empty when there is none. */
  readonly clientId: string;
}

/** A form that publishes an event, says whom it would reach, and how a program does the same. */
export function Publish({ user, why, clientId }: PublishProps): ReactElement {
  const schemas = useSchemas();
  const [form, setForm] = useState<MessageForm>({
    target: "user",
    names: user,
    type: `${customPrefix}hello`,
    data: pretty({ message: "Hello from the developer's page." }),
    metadata: "",
    ttl: "",
    key: "",
  });
  const [kind, setKind] = useState<string>(custom);
  const { sent, busy, send } = useSending();
  const set = (change: Partial<MessageForm>) => {
    setForm({ ...form, ...change });
  };
  const chooseKind = (next: string) => {
    setKind(next);
    const schema = schemas[next];
    if (schema !== undefined) set({ type: next, data: pretty(exampleOf(schema)) });
    else set({ type: next === custom ? `${customPrefix}hello` : "order.paid" });
  };

  const wrong = { ...problemsOf(form), ...(sent?.form === form && sent.refused) };
  const message = wrong.local ? undefined : messageOf(form);
  const submit = (dryRun: boolean) => {
    if (message !== undefined) void send(form, message, dryRun);
  };
  const blocked = why ?? (message === undefined ? "Mend what is marked first." : busy ? "Under way." : undefined);
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <Panel title="A message">
        <div className="space-y-4">
          <Choice
            legend="To"
            options={targetLabels}
            value={form.target}
            onChange={(target) => {
              set({ target, names: target === "user" ? user : target === "client" ? clientId : "" });
            }}
          />
          <Names form={form} set={set} error={wrong.names} clientId={clientId} />
          <TypeFields kind={kind} onKind={chooseKind} schemas={schemas} form={form} set={set} error={wrong.type} />
          <JsonField
            label="Data"
            rows={5}
            value={form.data}
            onChange={(data) => {
              set({ data });
            }}
            problem={wrong.dataAt}
            error={wrong.data}
            note={noteOf(schemas[kind])}
          />
          <JsonField
            label="Metadata, which streams are filtered by"
            rows={1}
            hint='{"team": "red"}'
            value={form.metadata}
            onChange={(metadata) => {
              set({ metadata });
            }}
            problem={wrong.metadataAt}
          />
          <div className="grid gap-4 sm:grid-cols-2">
            <TextField
              label="Of use for, in seconds"
              hint="for ever"
              inputMode="decimal"
              value={form.ttl}
              onChange={(ttl) => {
                set({ ttl });
              }}
              error={wrong.ttl}
            />
            <TextField
              label="Idempotency key"
              hint="none"
              value={form.key}
              onChange={(key) => {
                set({ key });
              }}
              error={wrong.key}
            />
          </div>
          <div className="flex flex-wrap gap-2">
            <Button
              look="primary"
              why={blocked}
              onClick={() => {
                submit(false);
              }}
            >
              Publish
            </Button>
            <Button
              why={blocked}
              onClick={() => {
                submit(true);
              }}
            >
              Whom would it reach?
            </Button>
          </div>
        </div>
      </Panel>
      <div className="min-w-0 space-y-5">
        <Outcome sent={sent} />
        <Snippets message={message} formKey={form.key} />
      </div>
    </div>
  );
}

function useSchemas(): Readonly<Record<string, Schema>> {
  const [schemas, setSchemas] = useState<Readonly<Record<string, Schema>>>({});
  useEffect(() => {
    // Without them, the form is for types of one's own.
    loadSchemas().then(setSchemas, () => undefined);
  }, []);
  return schemas;
}

interface FieldsProps {
  readonly form: MessageForm;
  readonly set: (change: Partial<MessageForm>) => void;
  readonly error: string | undefined;
}

function Names({ form, set, error, clientId }: FieldsProps & { readonly clientId: string }): ReactElement | null {
  const field = names[form.target];
  if (field === undefined) return error === undefined ? null : <p className="text-sm text-bad">{error}</p>;
  return (
    <TextField
      {...field}
      value={form.names}
      onChange={(value) => {
        set({ names: value });
      }}
      suggestions={form.target === "client" && clientId !== "" ? [clientId] : []}
      error={error}
    />
  );
}

interface TypeFieldsProps extends FieldsProps {
  readonly kind: string;
  readonly onKind: (kind: string) => void;
  readonly schemas: Readonly<Record<string, Schema>>;
}

function TypeFields({ kind, onKind, schemas, form, set, error }: TypeFieldsProps): ReactElement {
  const prefix = kind === custom ? customPrefix : "";
  return (
    <div className="grid items-start gap-4 sm:grid-cols-2">
      <Select
        label="Type"
        value={kind}
        onChange={onKind}
        options={[
          ...Object.keys(schemas).map((name) => ({ value: name, label: name })),
          { value: custom, label: "A notification of your own" },
          { value: free, label: "A word of your own" },
        ]}
      />
      {(kind === custom || kind === free) && (
        <TextField
          label={kind === custom ? `What follows ${customPrefix}` : "The word"}
          mono
          value={form.type.slice(prefix.length)}
          onChange={(value) => {
            set({ type: prefix + value });
          }}
          error={error}
        />
      )}
    </div>
  );
}

function noteOf(schema: Schema | undefined): string | undefined {
  if (schema === undefined) return undefined;
  const { needed, others } = membersOf(schema);
  return `Needs ${needed.join(", ")}. May have ${others.join(", ")}.`;
}

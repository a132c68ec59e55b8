import { type ReactElement, type SyntheticEvent, useState } from "react";
import { Button } from "../components/button";
import { Choice } from "../components/choice";
import { Field } from "./field";
import { countFilters, type Filters, instantIn, localOf, noFilters, type Preset } from "./filters";
import { Checks, Menu, MenuButton } from "./menu";
import { TypeMenu } from "./type-menu";

interface FilterBarProps {
  readonly filters: Filters;
  readonly onChange: (filters: Filters) => void;
}

/** What is looked for. Menus count at once; what is typed counts with Enter, or when the reader goes on. */
export function FilterBar({ filters, onChange }: FilterBarProps): ReactElement {
  const change = (part: Partial<Filters>) => {
    onChange({ ...filters, ...part });
  };
  const count = countFilters(filters);
  return (
    <section aria-label="Filters" className="space-y-3 rounded-2xl bg-card p-3 ring-1 ring-line sm:p-4">
      <Words filters={filters} onChange={change} />
      <div className="flex flex-wrap items-center gap-2">
        <Choice
          legend="Severity"
          hideLegend
          options={[
            { value: "all", label: "Everything" },
            { value: "problems", label: "Problems" },
          ]}
          value={filters.problems ? "problems" : "all"}
          onChange={(value) => {
            change({ problems: value === "problems", types: [] });
          }}
        />
        <TypeMenu
          chosen={filters.types}
          onChange={(types) => {
            change({ types, problems: false });
          }}
        />
        <StateMenu
          chosen={filters.states}
          onChange={(states) => {
            change({ states });
          }}
        />
        <TimeMenu filters={filters} onChange={change} />
        {count > 0 && (
          <Button
            look="quiet"
            onClick={() => {
              onChange(noFilters);
            }}
          >
            Clear {count === 1 ? "the filter" : `${String(count)} filters`}
          </Button>
        )}
      </div>
    </section>
  );
}

type Change = (part: Partial<Filters>) => void;

function Words({ filters, onChange }: { readonly filters: Filters; readonly onChange: Change }): ReactElement {
  const [text, setText] = useState(filters.text);
  const [user, setUser] = useState(filters.user);
  const [job, setJob] = useState(filters.job);
  const [bad, setBad] = useState("");
  const [shown, setShown] = useState(filters);
  if (shown !== filters) {
    // The reader went back, or cleared the filters: the fields say what is looked for now.
    setShown(filters);
    setText(filters.text);
    setUser(filters.user);
    setJob(filters.job);
    setBad("");
  }
  const commit = () => {
    const id = job.trim().toLowerCase().replace(/^job:/, "");
    if (id !== "" && !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) {
      setBad("A job is named by its whole id, such as 019b7e5c-0000-7000-8000-00000000000a.");
      return;
    }
    setBad("");
    const now = { text: text.trim(), user: user.trim(), job: id };
    if (now.text !== filters.text || now.user !== filters.user || now.job !== filters.job) onChange(now);
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    commit();
  };
  return (
    <form role="search" aria-label="The log" onSubmit={submit}>
      <div className="grid gap-3 sm:grid-cols-[2fr_1fr_1.6fr_auto] sm:items-end">
        <Field
          label="Text in messages and errors"
          type="search"
          value={text}
          onChange={setText}
          onBlur={commit}
          maxLength={200}
        />
        <Field label="User" value={user} onChange={setUser} onBlur={commit} maxLength={200} />
        <Field
          label="Job"
          value={job}
          onChange={setJob}
          onBlur={commit}
          placeholder="Its id"
          aria-invalid={bad !== ""}
          maxLength={60}
        />
        <Button look="primary" type="submit">
          Search
        </Button>
      </div>
      {bad !== "" && (
        <p role="alert" className="mt-2 text-sm text-bad">
          {bad}
        </p>
      )}
    </form>
  );
}

const states = ["queued", "running", "retrying", "cancelling", "succeeded", "failed", "cancelled"].map((value) => ({
  value,
  label: value.charAt(0).toUpperCase() + value.slice(1),
}));

interface StateMenuProps {
  readonly chosen: readonly string[];
  readonly onChange: (states: readonly string[]) => void;
}

function StateMenu({ chosen, onChange }: StateMenuProps): ReactElement {
  const names = states.filter((s) => chosen.includes(s.value)).map((s) => s.label);
  return (
    <Menu label={names.length === 0 ? "Any state" : names.join(", ")} title="State of the job" on={chosen.length > 0}>
      {() => <Checks options={states} chosen={chosen} onChange={onChange} />}
    </Menu>
  );
}

const presets: readonly { readonly value: Preset | ""; readonly label: string }[] = [
  { value: "", label: "Any time" },
  { value: "1h", label: "Last hour" },
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
  { value: "30d", label: "Last 30 days" },
];

function TimeMenu({ filters, onChange }: { readonly filters: Filters; readonly onChange: Change }): ReactElement {
  const exact = filters.since !== "" || filters.until !== "";
  const label = exact ? rangeLabel(filters) : (presets.find((p) => p.value === filters.preset)?.label ?? "Any time");
  return (
    <Menu label={label} title="Time" on={exact || filters.preset !== ""}>
      {(close) => (
        <>
          {presets.map(({ value, label: name }) => (
            <MenuButton
              key={value}
              onClick={() => {
                onChange({ preset: value, since: "", until: "" });
                close();
              }}
            >
              {name}
            </MenuButton>
          ))}
          <Exact
            key={`${filters.since} ${filters.until}`}
            filters={filters}
            onChange={(range) => {
              onChange(range);
              close();
            }}
          />
        </>
      )}
    </Menu>
  );
}

/** A range to the minute, in the reader's zone. */
function Exact({ filters, onChange }: { readonly filters: Filters; readonly onChange: Change }): ReactElement {
  const [since, setSince] = useState(localOf(filters.since));
  const [until, setUntil] = useState(localOf(filters.until));
  const range = { since: instantIn(since), until: instantIn(until) };
  const why =
    range.since === "" && range.until === ""
      ? "Say from when, or until when."
      : range.since !== "" && range.until !== "" && range.since >= range.until
        ? "The beginning has to be before the end."
        : undefined;
  return (
    <div className="space-y-2 border-t border-line px-1 pt-2 pb-1">
      <Field label="From" type="datetime-local" value={since} onChange={setSince} />
      <Field label="Until" type="datetime-local" value={until} onChange={setUntil} />
      <Button
        onClick={() => {
          onChange({ preset: "", ...range });
        }}
        why={why}
      >
        Show this range
      </Button>
    </div>
  );
}

function rangeLabel({ since, until }: Filters): string {
  const say = (instant: string) =>
    new Date(instant).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  if (since === "") return `Until ${say(until)}`;
  return until === "" ? `Since ${say(since)}` : `${say(since)} to ${say(until)}`;
}

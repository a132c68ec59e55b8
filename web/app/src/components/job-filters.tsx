import { type ReactElement, useContext, useEffect, useState } from "react";
import { useDesk } from "../desk";
import { sentence } from "../format";
import { all, isAll, addressOf, queryOf, type Shown } from "../job-filter";
import { navigate, replaceQuery } from "../router";
import { Button } from "./button";
import { Choice } from "./choice";
import { PresetsContext } from "./presets";
import { Select } from "./select";

const states = [
  { value: "all", label: "All" },
  { value: "active", label: "Under way" },
  { value: "ended", label: "Ended" },
  { value: "failed", label: "Failed" },
] as const;

/** How long after the last letter the address follows. */
const settled = 250;

/** Which jobs are shown. It all stands in the address, so that a link shows the same and the way back is the browser's. */
export function JobFilters({ shown }: { readonly shown: Shown }): ReactElement {
  const [text, setText] = useState(shown.text);
  const [last, setLast] = useState(shown.text);
  if (shown.text !== last) {
    // The address has changed by another way than this field.
    setLast(shown.text);
    if (shown.text !== text.trim()) setText(shown.text);
  }
  useEffect(() => {
    if (text.trim() === shown.text) return undefined;
    const timer = setTimeout(() => {
      replaceQuery(queryOf({ ...shown, text: text.trim() }));
    }, settled);
    return () => {
      clearTimeout(timer);
    };
  }, [text, shown]);
  return (
    <search aria-label="Jobs" className="flex flex-wrap items-center gap-x-3 gap-y-2">
      <Choice
        legend="Which jobs"
        hideLegend
        options={states}
        value={shown.state}
        onChange={(state) => {
          navigate(addressOf({ ...shown, state }), { keepPlace: true });
        }}
      />
      <KindSelect shown={shown} />
      <input
        type="search"
        aria-label="Search in titles"
        placeholder="Search in titles"
        maxLength={200}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
        }}
        className="h-8 min-w-32 flex-1 rounded-lg bg-card px-2.5 text-sm text-ink ring-1 ring-edge ring-inset placeholder:text-faint"
      />
      {!isAll(shown) && (
        <Button
          look="quiet"
          onClick={() => {
            setText("");
            navigate(addressOf(all), { keepPlace: true });
          }}
        >
          Show all
        </Button>
      )}
    </search>
  );
}

/** The kinds that Herald's workers do, and those of the jobs that are there. */
function KindSelect({ shown }: { readonly shown: Shown }): ReactElement | null {
  const { kinds } = useContext(PresetsContext);
  const { store } = useDesk();
  const titles = new Map(kinds.map((k) => [k.name, k.title]));
  for (const kind of [...store.kinds(), shown.kind]) {
    if (kind !== "" && !titles.has(kind)) titles.set(kind, sentence(kind));
  }
  if (titles.size < 2 && shown.kind === "") return null;
  return (
    <Select
      aria-label="Kind"
      value={shown.kind}
      onChange={(event) => {
        navigate(addressOf({ ...shown, kind: event.target.value }), { keepPlace: true });
      }}
      className="h-8 rounded-lg bg-card ps-2.5 text-sm text-ink ring-1 ring-edge ring-inset"
    >
      <option value="">All kinds</option>
      {[...titles].map(([name, title]) => (
        <option key={name} value={name}>
          {title}
        </option>
      ))}
    </Select>
  );
}

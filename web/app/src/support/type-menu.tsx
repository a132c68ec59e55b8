import { type ReactElement, useState } from "react";
import { Button } from "../components/button";
import { Field } from "./field";
import { Checks, Menu, MenuButton } from "./menu";

const known: readonly { readonly value: string; readonly label: string }[] = [
  { value: "job.*", label: "Everything of jobs" },
  { value: "job.queued", label: "Queued" },
  { value: "job.started", label: "Started" },
  { value: "job.progress", label: "Progress" },
  { value: "job.step", label: "Steps" },
  { value: "job.message", label: "Messages" },
  { value: "job.retrying", label: "Trying again" },
  { value: "job.stalled", label: "Stalled" },
  { value: "job.resumed", label: "Heard again" },
  { value: "job.cancelling", label: "Asked to stop" },
  { value: "job.cancelled", label: "Cancelled" },
  { value: "job.succeeded", label: "Succeeded" },
  { value: "job.failed", label: "Failed" },
  { value: "job.late_report", label: "Late reports" },
  { value: "job.callback", label: "Callbacks" },
  { value: "job.deleted", label: "Deleted" },
  { value: "notification.*", label: "Notifications" },
  { value: "access.read", label: "Who looked at what" },
];

interface TypeMenuProps {
  readonly chosen: readonly string[];
  readonly onChange: (types: readonly string[]) => void;
}

/** Which types of events are wanted: any of those known, and others by name. */
export function TypeMenu({ chosen, onChange }: TypeMenuProps): ReactElement {
  const [own, setOwn] = useState("");
  const others = chosen
    .filter((type) => !known.some((k) => k.value === type))
    .map((value) => ({ value, label: value }));
  const add = () => {
    const type = own.trim().toLowerCase();
    if (type !== "" && !chosen.includes(type)) onChange([...chosen, type]);
    setOwn("");
  };
  return (
    <Menu label={labelOf(chosen)} title="Types of events" on={chosen.length > 0}>
      {(close) => (
        <>
          <Checks options={[...others, ...known]} chosen={chosen} onChange={onChange} />
          <div className="flex items-end gap-2 border-t border-line px-1 pt-2 pb-1">
            <Field
              label="Another, such as order.*"
              value={own}
              onChange={setOwn}
              className="grow"
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                add();
              }}
            />
            <Button onClick={add} why={own.trim() === "" ? "Write a type first." : undefined}>
              Add
            </Button>
          </div>
          {chosen.length > 0 && (
            <MenuButton
              onClick={() => {
                onChange([]);
                close();
              }}
            >
              All types
            </MenuButton>
          )}
        </>
      )}
    </Menu>
  );
}

function labelOf(chosen: readonly string[]): string {
  const [first, ...more] = chosen;
  if (first === undefined) return "All types";
  const name = known.find((k) => k.value === first)?.label ?? first;
  return more.length === 0 ? name : `${name} and ${String(more.length)} more`;
}

import { type ReactElement, type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { buttonShape } from "../components/button";
import { DownIcon } from "../components/icons";

interface MenuProps {
  readonly label: ReactNode;
  /** What it is for, where the label says what is chosen. */
  readonly title: string;
  /** Something is chosen. */
  readonly on?: boolean;
  readonly align?: "left" | "right";
  readonly children: (close: () => void) => ReactNode;
}

/** A button that shows more when it is pressed; Escape, or a press elsewhere, closes it. */
export function Menu({ label, title, on = false, align = "left", children }: MenuProps): ReactElement {
  const [open, setOpen] = useState(false);
  const panel = useId();
  const whole = useRef<HTMLDivElement>(null);
  const button = useId();
  useEffect(() => {
    if (!open) return undefined;
    const elsewhere = (event: Event) => {
      if (event.target instanceof Node && whole.current?.contains(event.target) !== true) setOpen(false);
    };
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("focusin", elsewhere);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("focusin", elsewhere);
    };
  }, [open]);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (box.current !== null) keepInside(box.current);
  }, [open]);
  const close = () => {
    setOpen(false);
    document.getElementById(button)?.focus();
  };
  return (
    <div
      ref={whole}
      className="relative"
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          event.stopPropagation();
          close();
        }
      }}
    >
      <button
        id={button}
        type="button"
        aria-expanded={open}
        aria-controls={open ? panel : undefined}
        title={title}
        onClick={() => {
          setOpen(!open);
        }}
        className={`${buttonShape} bg-card ring-1 ring-inset hover:bg-well ${on ? "text-accent ring-accent" : "text-ink ring-edge"}`}
      >
        {label}
        <DownIcon size={12} />
      </button>
      {open && (
        <div
          ref={box}
          id={panel}
          role="group"
          aria-label={title}
          className={`absolute top-full z-20 mt-1.5 max-h-96 w-64 max-w-[calc(100vw-2rem)] overflow-y-auto rounded-xl bg-card p-1.5 text-sm shadow-lg ring-1 ring-line ${align === "right" ? "sm:end-0" : "start-0"}`}
        >
          {children(close)}
        </div>
      )}
    </div>
  );
}

/** What is left between a menu and the window's edge, in pixels. */
const margin = 8;

/** Moves what would reach beyond the window. */
function keepInside(box: HTMLElement): void {
  const { left, right } = box.getBoundingClientRect();
  const beyond = Math.max(right - (document.documentElement.clientWidth - margin), 0);
  const shift = beyond > 0 ? -beyond : Math.max(margin - left, 0);
  box.style.translate = `${String(shift)}px`;
}

/** A line of a menu that does something. */
export function MenuButton({
  onClick,
  children,
}: {
  readonly onClick: () => void;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <button type="button" onClick={onClick} className="block w-full rounded-lg px-2.5 py-1.5 text-start hover:bg-well">
      {children}
    </button>
  );
}

interface ChecksProps {
  readonly options: readonly { readonly value: string; readonly label: string }[];
  readonly chosen: readonly string[];
  readonly onChange: (chosen: readonly string[]) => void;
}

/** Lines of a menu of which any number can be chosen. */
export function Checks({ options, chosen, onChange }: ChecksProps): ReactElement {
  return (
    <>
      {options.map(({ value, label }) => (
        <label key={value} className="flex cursor-pointer items-center gap-2.5 rounded-lg px-2.5 py-1.5 hover:bg-well">
          <input
            type="checkbox"
            checked={chosen.includes(value)}
            onChange={(event) => {
              onChange(event.target.checked ? [...chosen, value] : chosen.filter((v) => v !== value));
            }}
            className="size-4 accent-accent"
          />
          {label}
        </label>
      ))}
    </>
  );
}

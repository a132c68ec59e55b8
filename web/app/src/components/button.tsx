import { type ButtonHTMLAttributes, type ReactElement, useId } from "react";

interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled" | "type"> {
  readonly look?: "primary" | "plain" | "quiet" | "danger";
  /** Why the button cannot be used now; it stays reachable, and says so. */
  readonly why?: string | undefined;
  readonly type?: "button" | "submit";
}

const looks = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong",
  plain: "bg-card text-ink ring-1 ring-inset ring-edge hover:bg-well",
  quiet: "text-soft hover:bg-well hover:text-ink",
  danger: "bg-card text-bad ring-1 ring-inset ring-edge hover:bg-bad-tint",
};

export const buttonShape =
  "inline-flex h-8 items-center justify-center gap-1.5 whitespace-nowrap rounded-lg px-3 text-sm font-medium transition-colors";

/** The classes of something that looks like a button and is a link. */
export const linkLook = `${buttonShape} ${looks.plain}`;

/** A button that never goes dead in silence: disabled, it says why on hover and focus. */
export function Button({
  look = "plain",
  why,
  type = "button",
  className = "",
  onClick,
  ...rest
}: ButtonProps): ReactElement {
  const tip = useId();
  const blocked = why !== undefined;
  const button = (
    <button
      {...rest}
      type={type}
      aria-disabled={blocked || undefined}
      aria-describedby={blocked ? tip : rest["aria-describedby"]}
      onClick={
        blocked
          ? (event) => {
              event.preventDefault();
            }
          : onClick
      }
      className={`${buttonShape} ${blocked ? "!cursor-not-allowed bg-well text-faint" : looks[look]} ${className}`}
    />
  );
  if (!blocked) return button;
  return (
    <span className="group relative inline-flex">
      {button}
      <span
        id={tip}
        role="tooltip"
        className="pointer-events-none absolute end-0 bottom-full z-10 mb-1.5 w-max max-w-56 rounded-md bg-ink px-2 py-1 text-xs text-page opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100"
      >
        {why}
      </span>
    </span>
  );
}

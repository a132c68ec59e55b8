import type { Session } from "@herald/client";
import { type ReactElement, type ReactNode, useId, useState } from "react";
import { messageOf } from "../live";
import { isSupport } from "../session";
import { setTheme, type Theme, useTheme } from "../theme";
import { Button, buttonShape } from "./button";
import { Choice } from "./choice";
import { DownIcon, Mark, MoonIcon, ScreenIcon, SunIcon } from "./icons";
import { Link } from "./link";

/** The top of every page. */
export function Header({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <header className="mx-auto flex h-16 w-full max-w-(--page-width) items-center gap-1 px-4 sm:gap-2 sm:px-6">
      <Link to="/" className="me-auto flex items-center gap-2.5 rounded-lg text-lg font-semibold tracking-tight">
        <Mark />
        <span className="max-[26rem]:sr-only">Herald</span>
      </Link>
      {children}
    </header>
  );
}

/** The way to the pages of support, for those who may see them. */
export function SupportLink({
  session,
  here,
}: {
  readonly session: Session;
  readonly here: boolean;
}): ReactElement | null {
  if (!isSupport(session)) return null;
  return (
    <Link
      to="/support"
      current={here}
      className={`${buttonShape} max-sm:px-2 text-soft hover:bg-well hover:text-ink aria-[current]:text-ink`}
    >
      Support
    </Link>
  );
}

interface UserMenuProps {
  readonly session: Session;
  readonly onSignOut: () => Promise<void>;
}

/** Who is signed in; opens a menu with the colours and the way out. */
export function UserMenu({ session, onSignOut }: UserMenuProps): ReactElement {
  const menu = useId();
  const [error, setError] = useState("");
  const signOut = () => {
    onSignOut().catch((err: unknown) => {
      setError(messageOf(err));
    });
  };
  return (
    <>
      <Button look="quiet" popoverTarget={menu} aria-haspopup="dialog" className="-me-3">
        <span className="max-w-16 truncate sm:max-w-32">{session.user}</span>
        <DownIcon size={12} />
      </Button>
      <div
        id={menu}
        popover="auto"
        role="dialog"
        aria-label="Your session"
        className="absolute inset-auto top-14 end-[max(1rem,calc((100vw-var(--page-width))/2+1.5rem))] w-60 space-y-4 rounded-xl bg-card p-4 text-ink shadow-lg ring-1 ring-line"
      >
        <p className="text-sm text-soft">
          Signed in as <span className="font-medium break-words text-ink">{session.user}</span>
        </p>
        <ThemeSwitch />
        {session.development === true && (
          <Link to="/dev" className="block text-sm text-accent underline underline-offset-2">
            For developers
          </Link>
        )}
        <Button onClick={signOut} className="w-full">
          Sign out
        </Button>
        {error !== "" && (
          <p role="alert" className="text-sm text-bad">
            {error}
          </p>
        )}
      </div>
    </>
  );
}

const themes: readonly { value: Theme; label: ReactNode; title: string }[] = [
  { value: "system", label: <Labelled icon={<ScreenIcon size={14} />} name="As the system" />, title: "As the system" },
  { value: "light", label: <Labelled icon={<SunIcon size={14} />} name="Light" />, title: "Light" },
  { value: "dark", label: <Labelled icon={<MoonIcon size={14} />} name="Dark" />, title: "Dark" },
];

function Labelled({ icon, name }: { readonly icon: ReactNode; readonly name: string }): ReactElement {
  return (
    <>
      {icon}
      <span className="sr-only">{name}</span>
    </>
  );
}

/** The choice between light and dark. */
export function ThemeSwitch(): ReactElement {
  return <Choice legend="Colours" hideLegend fill options={themes} value={useTheme()} onChange={setTheme} />;
}

import type { ReactElement, ReactNode } from "react";
import { Link } from "../components/link";
import type { Place } from "./place";

const tabs: readonly { readonly name: Place["name"]; readonly to: string; readonly label: string }[] = [
  { name: "search", to: "/support", label: "Search" },
  { name: "live", to: "/support/live", label: "Live" },
  { name: "connections", to: "/support/connections", label: "Connections" },
];

interface ShellProps {
  readonly place: Place;
  readonly children: ReactNode;
}

/** What stands around every page of the support desk: the ways between them. */
export function Shell({ place, children }: ShellProps): ReactElement {
  return (
    <div className="space-y-5">
      <nav aria-label="Support" className="-mt-1 flex items-center gap-1 overflow-x-auto border-b border-line">
        {tabs.map((tab) => (
          <Link
            key={tab.name}
            to={tab.to}
            current={tab.name === place.name}
            className="-mb-px rounded-t-lg border-b-2 border-transparent px-3 py-2 text-sm whitespace-nowrap text-soft hover:text-ink aria-[current]:border-accent aria-[current]:font-medium aria-[current]:text-ink"
          >
            {tab.label}
          </Link>
        ))}
      </nav>
      {children}
    </div>
  );
}

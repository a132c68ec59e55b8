import type { Session } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { Link } from "../components/link";
import { isAdmin } from "../session";
import type { Place } from "./place";

interface Tab {
  readonly name: Place["name"];
  readonly to: string;
  readonly label: string;
}

const tabs: readonly Tab[] = [
  { name: "search", to: "/support", label: "Search" },
  { name: "live", to: "/support/live", label: "Live" },
  { name: "connections", to: "/support/connections", label: "Connections" },
];
const adminTabs: readonly Tab[] = [...tabs, { name: "queue", to: "/support/queue", label: "Queue" }];

interface ShellProps {
  readonly place: Place;
  readonly session: Session;
  readonly children: ReactNode;
}

/** What stands around every page of the support desk: the ways between them. */
export function Shell({ place, session, children }: ShellProps): ReactElement {
  return (
    <div className="space-y-5">
      <nav aria-label="Support" className="-mt-1 flex items-center gap-1 overflow-x-auto border-b border-line">
        {(isAdmin(session) ? adminTabs : tabs).map((tab) => (
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

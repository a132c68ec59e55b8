/** What of all that a user was told is listed; it stands in the address. */
export interface ToldFilter {
  readonly about: About;
  /** Only what did not come to them. */
  readonly missed: boolean;
  /** The seqs of what is open. */
  readonly open: number;
}

export type About = "all" | "jobs" | "problems" | "notices";

const abouts: readonly About[] = ["all", "jobs", "problems", "notices"];

export function parseTold(query: string): ToldFilter {
  const said = new URLSearchParams(query);
  const about = said.get("about") ?? "";
  const open = Number(said.get("open") ?? "0");
  return {
    about: abouts.find((a) => a === about) ?? "all",
    missed: said.get("missed") === "1",
    open: Number.isSafeInteger(open) && open > 0 ? open : 0,
  };
}

export function toldQuery({ about, missed, open }: ToldFilter): string {
  const said = new URLSearchParams();
  if (about !== "all") said.set("about", about);
  if (missed) said.set("missed", "1");
  if (open > 0) said.set("open", String(open));
  return said.toString();
}

/** Where the first page of it is. */
export function toldPath(user: string, about: About): string {
  const said = new URLSearchParams({ limit: "200" });
  if (about === "jobs") said.append("type", "job.*");
  if (about === "notices") said.append("type", "notification.*");
  if (about === "problems") said.set("errors", "true");
  return `/api/users/${encodeURIComponent(user)}/events?${said.toString()}`;
}

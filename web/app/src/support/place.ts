/** Where in the support desk the reader is. */
export type Place =
  | { name: "search" }
  | { name: "live" }
  | { name: "connections" }
  | { name: "queue" }
  | { name: "job"; id: string }
  | { name: "user"; id: string }
  | { name: "then"; id: string }
  | { name: "nowhere" };

/** Reads the path of an address below /support. */
export function parsePlace(pathname: string): Place {
  const [, , first = "", second = "", third = "", ...more] = pathname.replace(/\/$/, "").split("/");
  const id = decoded(second);
  if (more.length > 0 || id === undefined) return { name: "nowhere" };
  switch (first) {
    case "":
      return { name: "search" };
    case "live":
    case "connections":
    case "queue":
      return { name: second === "" ? first : "nowhere" };
    case "jobs":
      return /^[0-9a-f-]{36}$/i.test(id) && third === "" ? { name: "job", id: id.toLowerCase() } : { name: "nowhere" };
    case "users":
      if (id === "" || !["", "then"].includes(third)) return { name: "nowhere" };
      return { name: third === "then" ? "then" : "user", id };
    default:
      return { name: "nowhere" };
  }
}

/** The address of a job's page for support. */
export function jobPlace(id: string): string {
  return `/support/jobs/${encodeURIComponent(id)}`;
}

/** The address of a user's page for support. */
export function userPlace(user: string): string {
  return `/support/users/${encodeURIComponent(user)}`;
}

/** The address of a user's page as they saw it, at an event of the log where one is given. */
export function thenPlace(user: string, seq?: number): string {
  return `${userPlace(user)}/then${seq === undefined ? "" : `?at=${String(seq)}`}`;
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

import { type HeraldClient, HeraldError, type Session } from "@herald/client";
import { useCallback, useEffect, useState } from "react";

/** Who is here, as far as is known. */
export type SessionState =
  | { status: "loading" }
  | { status: "unreachable" }
  | { status: "signed-in"; session: Session }
  | { status: "signed-out"; why: "no session" | "bad link" | "expired" | "by choice" };

/** Reports whether the session may look into what is others'. The server decides; this is what the page offers. */
export function isSupport(session: Session): boolean {
  return session.roles.includes("support") || isAdmin(session);
}

/** Reports whether the session may change what is others'. */
export function isAdmin(session: Session): boolean {
  return session.roles.includes("admin");
}

type Api = Pick<HeraldClient, "session" | "signIn" | "signOut">;

/**
 * Takes the token of a sign-in link out of the address, so that it is neither
 * kept in the history nor shared with a copied address.
 */
export function takeToken(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return token === "" ? undefined : token;
}

/** Signs in with the token when there is one, else asks whether a session is there. */
export async function enter(api: Api, token: string | undefined): Promise<SessionState> {
  try {
    return { status: "signed-in", session: await (token === undefined ? api.session() : api.signIn(token)) };
  } catch (err) {
    if (!(err instanceof HeraldError) || err.status >= 500) return { status: "unreachable" };
    return { status: "signed-out", why: token === undefined ? "no session" : "bad link" };
  }
}

/** The session of this page and what changes it; it begins with the token when there is one. */
export function useSession(
  api: Api,
  firstToken: string | undefined,
): {
  state: SessionState;
  again: () => void;
  signOut: () => Promise<void>;
  expire: () => void;
} {
  const [state, setState] = useState<SessionState>({ status: "loading" });
  const [token, setToken] = useState(firstToken);
  const [tries, setTries] = useState(0);

  useEffect(() => {
    let current = true;
    void enter(api, token).then((entered) => {
      if (current) setState(entered);
    });
    return () => {
      current = false;
    };
  }, [api, token, tries]);

  useEffect(() => {
    const linkOpened = () => {
      const fresh = takeToken();
      if (fresh !== undefined) setToken(fresh);
    };
    window.addEventListener("hashchange", linkOpened);
    return () => {
      window.removeEventListener("hashchange", linkOpened);
    };
  }, []);

  const again = useCallback(() => {
    setTries((n) => n + 1);
  }, []);
  const expire = useCallback(() => {
    setState({ status: "signed-out", why: "expired" });
  }, []);
  const signOut = useCallback(async () => {
    await api.signOut();
    setToken(undefined);
    setState({ status: "signed-out", why: "by choice" });
  }, [api]);
  return { state, again, signOut, expire };
}

import { HeraldError, type Session } from "@herald/client";
import { afterEach, describe, expect, test, vi } from "vitest";
import { enter, takeToken } from "./session";
import { noon } from "./testing";

const session: Session = { user: "demo", roles: ["user"], expires_at: noon };

function refusing(err: unknown) {
  const refuse = vi.fn(() => Promise.reject(err instanceof Error ? err : new Error()));
  return { session: refuse, signIn: refuse, signOut: vi.fn() };
}

function problem(status: number): HeraldError {
  return new HeraldError({ type: "about:blank", title: "Problem", status, detail: "", request_id: "" });
}

describe("takeToken", () => {
  afterEach(() => {
    history.replaceState(null, "", "/");
  });

  test("takes the token out of the address", () => {
    history.replaceState(null, "", "/jobs/x?y=1#token=abc.def");
    expect(takeToken()).toBe("abc.def");
    expect(location.pathname + location.search + location.hash).toBe("/jobs/x?y=1");
  });

  test.each(["", "#", "#token=", "#other=1"])("finds none in %j", (hash) => {
    history.replaceState(null, "", `/${hash}`);
    expect(takeToken()).toBeUndefined();
  });
});

describe("enter", () => {
  test("signs in with a token, and asks for the session without one", async () => {
    const api = {
      session: vi.fn().mockResolvedValue(session),
      signIn: vi.fn().mockResolvedValue(session),
      signOut: vi.fn(),
    };
    expect(await enter(api, "t")).toEqual({ status: "signed-in", session });
    expect(api.signIn).toHaveBeenCalledWith("t");
    expect(api.session).not.toHaveBeenCalled();
    expect(await enter(api, undefined)).toEqual({ status: "signed-in", session });
    expect(api.session).toHaveBeenCalledOnce();
  });

  test("tells a link that no longer works from a visitor without a session", async () => {
    expect(await enter(refusing(problem(401)), "t")).toEqual({ status: "signed-out", why: "bad link" });
    expect(await enter(refusing(problem(401)), undefined)).toEqual({ status: "signed-out", why: "no session" });
  });

  test.each([new TypeError("network"), problem(503)])("does not take %s for being signed out", async (err) => {
    expect(await enter(refusing(err), undefined)).toEqual({ status: "unreachable" });
  });
});

import { afterEach, expect, test, vi } from "vitest";
import { HeraldClient } from "./client.js";
import { HeraldError } from "./error.js";

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Answers each request with the same, and remembers them. */
function answer(status: number, body: string): { url: string; init: RequestInit }[] {
  const requests: { url: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    requests.push({ url, init });
    return Promise.resolve(new Response(status === 204 ? null : body, { status }));
  });
  return requests;
}

test("a job is started with a body of JSON and the token", async () => {
  const requests = answer(201, '{"id":"j1"}');
  const client = new HeraldClient({ baseURL: "http://herald", token: () => "t0k3n" });
  const started = await client.startJob({ kind: "video", title: "clip", args: { a: 1 } });
  expect(started.id).toBe("j1");
  expect(requests).toEqual([
    {
      url: "http://herald/api/jobs",
      init: {
        method: "POST",
        headers: { authorization: "Bearer t0k3n", "content-type": "application/json" },
        credentials: "same-origin",
        body: '{"kind":"video","title":"clip","args":{"a":1}}',
      },
    },
  ]);
});

test("filters go into the address", async () => {
  const requests = answer(200, '{"jobs":[],"next":""}');
  await new HeraldClient().listJobs({ state: "active", limit: 5, before: "a b" });
  expect(requests[0]?.url).toBe("/api/jobs?state=active&limit=5&before=a+b");
});

test("history is filtered by metadata", async () => {
  const requests = answer(200, '{"events":[],"next":""}');
  const metadata = { tenant: "a b", region: ["eu", "us"] };
  await new HeraldClient().events({ type: ["job.*"], metadata, limit: 5 });
  expect(requests[0]?.url).toBe(
    "/api/events?type=job.*&limit=5&metadata.tenant=a+b&metadata.region=eu&metadata.region=us",
  );
});

test("signing in sends the token once", async () => {
  const requests = answer(200, '{"user":"demo"}');
  const client = new HeraldClient();
  await client.signIn("t0k3n");
  await client.session();
  expect(requests.map((r) => r.init.headers)).toEqual([{ authorization: "Bearer t0k3n" }, {}]);
});

test("a problem becomes an error that says what is wrong", async () => {
  answer(
    409,
    '{"type":"/problems/not-ended","title":"The job has not ended","status":409,"detail":"wait","request_id":"r1"}',
  );
  const err: unknown = await new HeraldClient().deleteJob("j1").catch((e: unknown) => e);
  expect(err).toBeInstanceOf(HeraldError);
  expect(err).toMatchObject({
    status: 409,
    type: "/problems/not-ended",
    message: "The job has not ended: wait",
    requestId: "r1",
  });
});

test("a proxy's page becomes an error too", async () => {
  answer(502, "<html>Bad Gateway</html>");
  await expect(new HeraldClient().session()).rejects.toMatchObject({ status: 502, type: "about:blank" });
});

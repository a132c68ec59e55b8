import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { button, click, deskOf, idOf, jobOf, render } from "../testing";
import type { DevPart } from "../router";
import DevPage from "./page";

/** What was asked of the server, and what it answers, by method and path without its query. */
const asked: { readonly what: string; readonly path: string; readonly body: string }[] = [];
let answers: Record<string, readonly [status: number, body: unknown]>;

beforeEach(() => {
  asked.length = 0;
  answers = {
    "GET /asyncapi.json": [200, { components: { schemas: {} } }],
    "GET /api/jobs": [200, { jobs: [] }],
  };
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("fetch", (path: string, { method = "GET", body = "" }: { method?: string; body?: string } = {}) => {
    const what = `${method} ${path.split("?")[0] ?? ""}`;
    asked.push({ what, path, body });
    const [status, json] = answers[what] ?? [404, {}];
    return Promise.resolve(new Response(typeof json === "string" ? json : JSON.stringify(json), { status }));
  });
});

function show(part: DevPart, roles = ["user", "backend"]) {
  const { desk } = deskOf();
  const session = { user: "demo", roles, expires_at: "", development: true };
  const page = render(<DevPage session={session} part={part} />, desk);
  return { page, desk };
}

/** Waits until the page is so. Meanwhile React renders by itself, as in a browser. */
async function until(page: HTMLElement, where: string, text: string): Promise<void> {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", false);
  await vi.waitFor(() => {
    expect(Array.from(page.querySelectorAll(where), (found) => found.textContent).join()).toContain(text);
  });
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
}

/** Types into the field with the label. */
function type(page: HTMLElement, label: string, value: string): void {
  const found = Array.from(page.querySelectorAll("label")).find((l) => l.textContent.startsWith(label));
  const field = found?.querySelector("input") ?? document.getElementById(found?.htmlFor ?? "");
  if (field === null) throw new Error(`no field ${label}`);
  act(() => {
    // React listens for what the browser's own setter has not been told of.
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field) as object, "value")?.set?.call(field, value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

test("JSON that is wrong is marked where it is, and nothing is sent", async () => {
  const { page } = show("publish");
  type(page, "Data", '{\n  "a": 1,\n}');
  expect(page.querySelector("[role=alert]")?.textContent).toBe("Line 2, column 9: No comma may stand before }.");
  await click(button(page, "Publish"));
  expect(asked.filter(({ what }) => what.startsWith("POST"))).toEqual([]);
});

test("a dry run says whom it would reach, and a refusal stands at its field until that changes", async () => {
  const { page } = show("publish");
  const reaches = [{ user: "alice" }, { user: "alice" }, { user: "bob" }];
  answers["POST /api/sse/message"] = [200, { event_id: null, addressed: 3, dry_run: true, reaches }];
  await click(button(page, "Whom would it reach?"));
  await until(page, "[role=status]", "It would reach 3 connections of 2 users.");
  expect(asked.at(-1)?.path).toBe("/api/sse/message?dry_run=true");

  answers["POST /api/sse/message"] = [422, { type: "/problems/bad-payload", title: "The payload is not taken" }];
  await click(button(page, "Publish"));
  await until(page, "[role=alert]", "The payload is not taken");
  type(page, "Data", "{}");
  expect(page.querySelector("[role=alert]")).toBeNull();

  answers["POST /api/sse/message"] = [200, { event_id: "e1", addressed: 1, repeated: false }];
  await click(button(page, "Publish"));
  await until(page, "[role=status]", "Published, to 1 connection.");
  expect(JSON.parse(asked.at(-1)?.body ?? "")).toEqual({
    event: "notification.custom.hello",
    data: {},
    to: { user: "demo" },
  });
});

test("a webhook is signed and sent, its event is shown, and the same once more has no effect", async () => {
  const secret = `whsec_${btoa("a secret of 24 bytes, ok")}`;
  answers["GET /api/dev"] = [
    200,
    { webhook_sources: [{ name: "example", scheme: "standard" }], example_secret: secret },
  ];
  answers["POST /api/webhooks/example"] = [200, { event_ids: ["e1"] }];
  answers["GET /api/events"] = [200, { events: [{ seq: 4, id: "e1", type: "notification.custom.example", data: {} }] }];
  const { page } = show("webhooks");
  await until(page, "button", "Sign and send");
  await click(button(page, "Sign and send"));
  await until(page, "li", "Taken, and published.");
  await until(page, "li", "Event notification.custom.example");
  await click(button(page, "Send the last one again"));
  await until(page, "li", "Nothing was published again.");
  answers["POST /api/webhooks/example"] = [
    403,
    { type: "/problems/bad-signature", title: "The signature is not valid" },
  ];
  await click(button(page, "Sign and send"));
  await until(page, "li", "Refused. The signature is not valid.");
});

test("the raw stream shows each frame as it came, and where to go on from", async () => {
  answers["GET /api/sse"] = [200, 'retry: 100\n\n:\n\nid: 7\nevent: a.b\ndata: {"a":1}\n\n'];
  const { page } = show("stream");
  type(page, "Types", "a.*, c");
  await click(button(page, "Connect"));
  await until(page, "[role=status]", "The server has ended the stream.");
  expect(asked.at(-1)?.path).toBe("/api/sse?type=a.*&type=c");
  expect(Array.from(page.querySelectorAll("[aria-label=Frames] li"), (li) => li.textContent)).toEqual([
    expect.stringContaining('id: 7event: a.bdata: {"a":1}'),
    expect.stringContaining(":"),
    expect.stringContaining("retry: 100"),
  ]);
  expect(button(page, "Go on from 7")).toBeDefined();
});

test("a load shows its jobs as the stream tells of them, and is stopped by hand", async () => {
  const { page, desk } = show("load");
  answers["POST /api/jobs"] = [201, { id: idOf(1) }];
  answers[`POST /api/jobs/${idOf(1)}/reports`] = [200, { state: "running", attempt: 1 }];
  await click(button(page, "Start"));
  await until(page, "[aria-label=Figures]", "Started1");
  act(() => {
    desk.store.put(jobOf({ id: idOf(1), title: "Demo job 1", progress: 0.25 }));
  });
  await until(page, "[aria-label='The newest demo jobs'] li", "Demo job 1");
  await click(button(page, "Stop"));
  await until(page, "[aria-label=Figures]", "Cancelled1");
  expect(asked.at(-1)).toMatchObject({ what: `POST /api/jobs/${idOf(1)}/reports` });
  expect(asked.at(-1)?.body).toContain('"cancelled"');
});

test("who may not publish is told what to do, and can press nothing that is refused", () => {
  const { page } = show("publish", ["user"]);
  expect(page.textContent).toContain("herald token --link --user demo --role user --role backend");
  expect(button(page, "Publish").getAttribute("aria-disabled")).toBe("true");
});

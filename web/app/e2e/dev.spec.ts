import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, type Locator, type Page } from "@playwright/test";
import { expectAccessible, expectNarrow } from "./barriers";
import { type Herald, test } from "./herald";
import { expectBadge, signIn } from "./page";

const run = promisify(execFile);

/** Signs in as a developer, and opens a part of the page. */
async function openDev(page: Page, herald: Herald, part = ""): Promise<void> {
  await signIn(page, herald.devLink);
  await expect(page.getByRole("heading", { name: "For developers" })).toBeVisible();
  if (part !== "") await page.getByRole("navigation").getByRole("link", { name: part }).click();
}

function region(page: Page, name: string | RegExp): Locator {
  return page.getByRole("region", { name });
}

/** A text to copy. */
function code(page: Page, name: string): Locator {
  return page.getByRole("group", { name, exact: true });
}

/** A token of a back end's. */
async function backendToken(herald: Herald): Promise<string> {
  return (await herald.linkFor("shop", "backend")).split("#token=")[1] ?? "";
}

test("a developer publishes by hand, sees whom it reaches and what is wrong, and copies a program", async ({
  herald,
  page,
}, testInfo) => {
  await openDev(page, herald);
  const data = page.getByLabel("Data", { exact: true });
  await data.fill('{\n  "message": "Hello",\n}');
  await expect(page.getByRole("alert")).toHaveText("Line 2, column 21: No comma may stand before }.");
  await expect(page.getByRole("button", { name: "Publish" })).toHaveAttribute("aria-disabled", "true");
  await data.fill('{"message": "It\'s me"}');
  await page.getByLabel("Metadata, which").fill('{"team": "red"}');
  await page.getByLabel("Idempotency key").fill("once");
  const answer = region(page, "The answer");
  // Who is there is known a moment after it is.
  await expect(async () => {
    await page.getByRole("button", { name: "Whom would it reach?" }).click();
    await expect(answer).toContainText("It would reach 1 connection of 1 user.", { timeout: 1000 });
  }).toPass();
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(answer).toContainText("Published, to 1 connection.");

  // The programs publish the same: under the key, that is the same event.
  const env = { ...process.env, FORCE_COLOR: "0", TOKEN: await backendToken(herald) };
  const curl = (await code(page, "curl").textContent()) ?? "";
  const first = JSON.parse((await run("bash", ["-c", `${curl} -sS`], { env })).stdout) as { event_id: string };
  await page.getByText("JavaScript", { exact: true }).click();
  const file = testInfo.outputPath("publish.mjs");
  await writeFile(file, (await code(page, "JavaScript").textContent()) ?? "");
  const node = (await run("node", [file], { env })).stdout;
  expect(node).toContain(`200 {`);
  expect(node).toContain(first.event_id);
  expect(node).toContain("repeated: true");
  await page.getByText("Go", { exact: true }).click();
  const go = testInfo.outputPath("publish.go");
  await writeFile(go, `package p\n\nfunc _() {\n${(await code(page, "Go").textContent()) ?? ""}}\n`);
  await run("gofmt", ["-e", go]);

  // Types with a schema come with an example, and the server says what does not fit.
  await page.getByLabel("Idempotency key").fill("");
  await page.getByLabel("Type").selectOption("notification.payment");
  await expect(data).toHaveValue(/"amount": "12.50"/);
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(answer).toContainText("Published, to 1 connection.");
  await data.fill('{"payment_id": "p1", "status": "succeeded", "amount": 12.5, "currency": "EUR"}');
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("alert")).toContainText("amount must be a string");
});

test("webhooks are signed in the browser, taken once, and refused when somebody else signs", async ({
  herald,
  page,
}, testInfo) => {
  const file = testInfo.outputPath("webhooks.yaml");
  const event = `events: [{type: '"git.push"', to: '["user:demo"]'}]`;
  await writeFile(
    file,
    `sources:
  payments: {scheme: stripe, secrets: [env:HERALD_WEBHOOK_SECRET_A], ${event}}
  github: {scheme: hmac, header: X-Hub-Signature-256, prefix: sha256=, secrets: [env:HERALD_WEBHOOK_SECRET_A], ${event}}
`,
  );
  process.env["HERALD_WEBHOOK_SECRET_A"] = "a secret of the test's";
  await herald.end("SIGTERM");
  await herald.start("--webhooks", file);
  await openDev(page, herald, "Webhooks");
  const send = page.getByRole("button", { name: "Sign and send" });
  const exchanges = region(page, "What came of it").getByRole("listitem");
  await expect(page.getByLabel("Secret")).toHaveValue(/^whsec_/);
  await send.click();
  await expect(exchanges.first()).toContainText("Taken, and published.");
  await expect(exchanges.first()).toContainText("notification.custom.example");
  await expect(exchanges.first()).toContainText('"message": "Hello from outside."');
  await page.getByRole("button", { name: "Send the last one again" }).click();
  await expect(exchanges.first()).toContainText("Nothing was published again.");
  await page.getByText("By somebody else").click();
  await send.click();
  await expect(exchanges.first()).toContainText("Refused. The signature is not valid");
  await page.getByText("Two hours ago").click();
  await send.click();
  await expect(exchanges.first()).toContainText("Refused. The webhook is too old");

  await page.getByText("As it should be").click();
  for (const source of ["payments", "github"]) {
    await page.getByRole("combobox", { name: /^Source/ }).selectOption(source);
    await page.getByRole("textbox", { name: "Secret" }).fill("a secret of the test's");
    await page.getByRole("textbox", { name: "Body" }).fill(`{"id": "evt_1", "ref": "${source}"}`);
    await send.click();
    await expect(exchanges.first()).toContainText("Taken, and published.");
    await expect(exchanges.first()).toContainText(`"ref": "${source}"`);
  }
  await expect(exchanges).toHaveCount(6);
});

test("the raw stream shows each frame, can be held, and goes on from a cursor", async ({ herald, page, request }) => {
  await openDev(page, herald, "Raw stream");
  const frames = page.getByRole("list", { name: "Frames" }).getByRole("listitem");
  const token = await backendToken(herald);
  const notify = async (n: number, type = "order.paid") => {
    const sent = await request.post(`http://${herald.address}/api/sse/message`, {
      headers: { authorization: `Bearer ${token}` },
      data: { event: type, data: { n }, to: { user: "demo" } },
    });
    expect(sent.ok()).toBe(true);
  };
  await page.getByLabel("Types").fill("order.*");
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  await expect(frames.first()).toContainText("stream.snapshot");
  await expect(frames.last()).toContainText("retry:");
  await notify(1);
  await expect(frames.first()).toContainText('"n":1');
  await notify(2, "other.thing");
  await page.getByRole("button", { name: "Pause" }).click();
  await notify(3);
  await expect(page.getByRole("button", { name: "Go on (1 held)" })).toBeVisible();
  await expect(frames.first()).toContainText('"n":1');
  await page.getByRole("button", { name: "Go on (1 held)" }).click();
  await expect(frames.first()).toContainText('"n":3');
  await page.getByRole("button", { name: "Disconnect" }).click();
  await expect(page.getByText("Not connected")).toBeVisible();
  await notify(4);
  await page.getByRole("button", { name: /^Go on from \d/ }).click();
  await expect(frames.first()).toContainText('"n":4');
  await expect(frames.getByText("other.thing")).toHaveCount(0);
  await expect(frames.filter({ hasText: "stream.snapshot" })).toHaveCount(1);
  await expect(code(page, "The same with curl")).toContainText("Last-Event-ID: ");

  await page.getByLabel("Topics").fill("user:somebody-else");
  await page.getByRole("button", { name: "Connect anew" }).click();
  await expect(page.getByText("You may not do this")).toBeVisible();
});

test("a load of demo jobs runs at its rate, and is gone when it is left", async ({ herald, page }) => {
  await openDev(page, herald, "Load");
  await page.getByRole("slider", { name: "Jobs a second" }).fill("50");
  const figures = page.getByLabel("Figures");
  const figure = async (name: string) =>
    parseInt((await figures.locator("div").filter({ hasText: name }).getByRole("definition").textContent()) ?? "");
  const names = await figures.getByRole("term").evaluateAll((terms) => terms.map((term) => term.clientHeight));
  expect(new Set(names).size).toBe(1); // none takes a second line
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(() => figure("Started")).toBeGreaterThan(8);
  await expect(page.getByRole("list", { name: "The newest demo jobs" }).getByRole("progressbar").first()).toBeVisible();
  await expect.poll(() => figure("Succeeded"), { timeout: 60_000 }).toBeGreaterThan(2);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect.poll(() => figure("At once")).toBe(0);
  const jobs = async (state: string) => {
    const listed = await page.request.get(`http://${herald.address}/api/jobs?kind=demo&state=${state}`);
    return ((await listed.json()) as { jobs: unknown[] }).jobs.length;
  };
  expect(await jobs("active")).toBe(0);
  expect(await jobs("ended")).toBeGreaterThan(8);
  await page.getByRole("link", { name: "Herald" }).click();
  await expect.poll(() => jobs("ended")).toBe(0);
  await expect(page.getByRole("article")).toHaveCount(0);
});

test("the developer's page is there in development alone, and says what one may not do", async ({ herald, page }) => {
  await signIn(page, herald.link);
  await page.getByRole("button", { name: "demo" }).click();
  await page.getByRole("link", { name: "For developers" }).click();
  await expect(page.getByText("You may look, but not publish.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Publish" })).toHaveAttribute("aria-disabled", "true");
  for (const part of ["Webhooks", "Load"]) {
    await page.getByRole("navigation").getByRole("link", { name: part }).click();
    await expect(page.getByText("You are signed in as a user alone.").first()).toBeAttached();
  }
  await herald.end("SIGTERM");
  await herald.start("--no-dev");
  expect(herald.devLink).toBe("");
  expect((await page.request.get(`http://${herald.address}/dev`)).status()).toBe(404);
  await page.goto(`http://${herald.address}/`);
  await expectBadge(page, "Live");
  await page.getByRole("button", { name: "demo" }).click();
  await expect(page.getByRole("link", { name: "For developers" })).toHaveCount(0);
});

test("the developer's page has no barrier that axe finds, light or dark, and fits on a phone", async ({
  herald,
  page,
}) => {
  await openDev(page, herald);
  for (const part of ["publish", "webhooks", "stream", "load"]) {
    await page.goto(`http://${herald.address}/dev/${part}`);
    await expectAccessible(page, async () => {
      await expectBadge(page, "Live");
      await expect(page.getByRole("region").first()).toBeVisible();
      if (part !== "stream") return;
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await expect(page.getByRole("list", { name: "Frames" })).toBeVisible();
    });
    await expectNarrow(page);
  }
});

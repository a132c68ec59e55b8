import { type APIRequestContext, expect, type Locator, type Page } from "@playwright/test";
import { type Herald, test } from "./herald";
import { makeTestVideo, signIn } from "./page";

/** What the test needs to know of a stream. */
interface Receipts {
  readonly written_seq: number;
  readonly acked_seq: number;
  readonly seen_seq: number;
  readonly visible: boolean;
}

/** Support sees everybody's jobs and streams. */
class Support {
  readonly #herald: Herald;
  readonly #request: APIRequestContext;
  readonly #token: string;

  private constructor(herald: Herald, request: APIRequestContext, token: string) {
    this.#herald = herald;
    this.#request = request;
    this.#token = token;
  }

  static async create(herald: Herald, request: APIRequestContext): Promise<Support> {
    const link = await herald.linkFor("sue", "support");
    return new Support(herald, request, link.split("#token=")[1] ?? "");
  }

  receipts(client: string): Promise<Receipts> {
    return this.#get<Receipts>(`/api/connections/${client}`);
  }

  /** The seq of the job's last event, as the log has it. */
  async lastSeq(of: Locator): Promise<number> {
    const path = (await of.getByRole("link").first().getAttribute("href")) ?? "";
    const { events } = await this.#get<{ events: { seq: number }[] }>(`/api${path}/events`);
    return events.at(-1)?.seq ?? 0;
  }

  async #get<T>(path: string): Promise<T> {
    const response = await this.#request.get(`http://${this.#herald.address}${path}`, {
      headers: { authorization: `Bearer ${this.#token}` },
    });
    expect(response.status(), await response.text()).toBe(200);
    return (await response.json()) as T;
  }
}

/** Makes the page believe that it is hidden, or shown: a browser without a screen hides none. */
async function setVisible(page: Page, visible: boolean): Promise<void> {
  await page.evaluate(
    (state) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
      document.dispatchEvent(new Event("visibilitychange"));
    },
    visible ? "visible" : "hidden",
  );
}

test("what a page has handled is acknowledged, and seen once it is shown", async ({ herald, page, request }) => {
  const support = await Support.create(herald, request);
  const firstAck = page.waitForRequest("**/api/sse/ack");
  await signIn(page, herald.link);
  const ended = { timeout: 90_000 };
  const first = await makeTestVideo(page, "5 s");
  await expect(first).toHaveAttribute("data-state", "succeeded", ended);
  const { client_id: client } = (await firstAck).postDataJSON() as { client_id: string };
  const seen = await support.lastSeq(first);
  const receipts = () => support.receipts(client);
  const once = { timeout: 60_000 };
  await expect
    .poll(receipts, once)
    .toMatchObject({ written_seq: seen, acked_seq: seen, seen_seq: seen, visible: true });

  await setVisible(page, false);
  const second = await makeTestVideo(page, "20 s");
  await expect(second).toHaveAttribute("data-state", "succeeded", ended);
  const handled = await support.lastSeq(second);
  expect(handled).toBeGreaterThan(seen);
  await expect.poll(receipts, once).toMatchObject({ acked_seq: handled, seen_seq: seen, visible: false });

  await setVisible(page, true);
  await expect.poll(receipts, once).toMatchObject({ acked_seq: handled, seen_seq: handled, visible: true });
});

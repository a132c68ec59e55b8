import { type APIRequestContext, type Browser, expect, type Page } from "@playwright/test";
import type { Herald } from "./herald";
import { signIn } from "./page";

/** Backend runs jobs of others elsewhere, and asks the API, as an admin. */
export class Backend {
  readonly #request: APIRequestContext;
  readonly #base: string;
  readonly #headers: { authorization: string };

  private constructor(request: APIRequestContext, base: string, token: string) {
    this.#request = request;
    this.#base = base;
    this.#headers = { authorization: `Bearer ${token}` };
  }

  static async create(herald: Herald, request: APIRequestContext): Promise<Backend> {
    const link = await herald.linkFor("ops", "admin");
    return new Backend(request, `http://${herald.address}/api`, link.split("#token=")[1] ?? "");
  }

  /** Starts a job of the owner's, whose first attempt begins at once, and returns its id. */
  async start(owner: string, title: string): Promise<string> {
    const job = { kind: "import", title, owner, external: true, start: true, worker: "worker-1" };
    return (await this.post<{ id: string }>("jobs", job)).id;
  }

  async report(job: string, ...reports: object[]): Promise<void> {
    await this.post(`jobs/${job}/reports`, { reports: reports.map((r) => ({ attempt: 1, ...r })) });
  }

  /** Waits until the log has so many events of the job, and returns their seqs. */
  async seqs(job: string, count: number): Promise<number[]> {
    let seqs: number[] = [];
    await expect
      .poll(async () => {
        const { events } = await this.get<{ events: { seq: number }[] }>(`jobs/${job}/events`);
        seqs = events.map((e) => e.seq);
        return seqs.length;
      })
      .toBe(count);
    return seqs;
  }

  async post<T>(path: string, data: unknown): Promise<T> {
    const response = await this.#request.post(`${this.#base}/${path}`, { headers: this.#headers, data });
    expect(response.ok(), await response.text()).toBe(true);
    return (await response.json()) as T;
  }

  async get<T>(path: string): Promise<T> {
    const response = await this.#request.get(`${this.#base}/${path}`, { headers: this.#headers });
    expect(response.ok(), await response.text()).toBe(true);
    return (await response.json()) as T;
  }
}

/** A page of its own for somebody. */
export async function pageOf(browser: Browser, herald: Herald, user: string, role = "user"): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await signIn(page, await herald.linkFor(user, role));
  return page;
}

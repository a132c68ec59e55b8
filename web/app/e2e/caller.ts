import { type APIRequestContext, expect } from "@playwright/test";
import type { Herald } from "./herald";

/** Caller is somebody who asks the API: a worker elsewhere, a back end, or a person with their own program. */
export class Caller {
  readonly #request: APIRequestContext;
  readonly #base: string;
  /** What it shows to be let in. */
  readonly token: string;

  private constructor(request: APIRequestContext, base: string, token: string) {
    this.#request = request;
    this.#base = base;
    this.token = token;
  }

  static async create(herald: Herald, request: APIRequestContext, user: string, role: string): Promise<Caller> {
    const token = /#token=(\S+)/.exec(await herald.linkFor(user, role))?.[1];
    if (token === undefined) throw new Error("the link has no token");
    return new Caller(request, `http://${herald.address}/api`, token);
  }

  /** Starts a job, and returns its id. */
  async start(job: object): Promise<string> {
    return (await this.post<{ id: string }>("jobs", job)).id;
  }

  /** Starts a job whose worker it is, and whose first attempt begins at once. */
  begin(owner: string, title: string, more: object = {}): Promise<string> {
    return this.start({ kind: "import", owner, title, external: true, start: true, ...more });
  }

  /** A job of the user's that it runs, and that fails; its id. */
  async fail(owner: string, title: string, error: string): Promise<string> {
    const id = await this.begin(owner, title, { kind: "print", worker: "press" });
    await this.report(id, { state: "failed", error });
    return id;
  }

  /** Reports of the first attempt, unless they say otherwise. */
  async report(job: string, ...reports: object[]): Promise<void> {
    await this.post(`jobs/${job}/reports`, { reports: reports.map((r) => ({ attempt: 1, ...r })) });
  }

  /** Begins the job's next attempt. */
  async claim(job: string, more: object = {}): Promise<void> {
    await this.post(`jobs/${job}/attempts`, more);
  }

  /** Tells a user something. */
  async tell(user: string, event: string, data: object): Promise<void> {
    await this.post("sse/message", { event, to: { user }, data });
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

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.text(path)) as T;
  }

  async text(path: string): Promise<string> {
    const response = await this.#request.get(`${this.#base}/${path}`, { headers: this.#headers() });
    const text = await response.text();
    expect(response.ok(), `${path}: ${text}`).toBe(true);
    return text;
  }

  async post<T>(path: string, data: object): Promise<T> {
    const response = await this.#request.post(`${this.#base}/${path}`, { headers: this.#headers(), data });
    expect(response.ok(), `${path}: ${await response.text()}`).toBe(true);
    return (await response.json()) as T;
  }

  #headers(): { authorization: string } {
    return { authorization: `Bearer ${this.token}` };
  }
}

import { type APIRequestContext, expect } from "@playwright/test";
import type { Herald } from "./herald";

/** A worker somewhere, which reports over HTTP; and a user of the API who starts jobs of Herald's own. */
export class Caller {
  readonly #request: APIRequestContext;
  readonly #address: string;
  readonly #token: string;

  private constructor(request: APIRequestContext, address: string, token: string) {
    this.#request = request;
    this.#address = address;
    this.#token = token;
  }

  static async create(herald: Herald, request: APIRequestContext, user: string, role: string): Promise<Caller> {
    const token = /#token=(\S+)/.exec(await herald.linkFor(user, role))?.[1];
    if (token === undefined) throw new Error("the link has no token");
    return new Caller(request, herald.address, token);
  }

  /** Starts a job, and returns its id. */
  async start(job: object): Promise<string> {
    return ((await this.#post("/api/jobs", job)) as { id: string }).id;
  }

  /** Starts a job of demo's whose worker it is. */
  async begin(job: object): Promise<string> {
    return this.start({ owner: "demo", external: true, start: true, worker: "host-7", ...job });
  }

  async report(id: string, ...reports: object[]): Promise<void> {
    await this.#post(`/api/jobs/${id}/reports`, { reports });
  }

  async claim(id: string, steps: object[] = []): Promise<void> {
    await this.#post(`/api/jobs/${id}/attempts`, { worker: "host-8", steps });
  }

  async #post(path: string, data: object): Promise<unknown> {
    const url = `http://${this.#address}${path}`;
    const response = await this.#request.post(url, { data, headers: { authorization: `Bearer ${this.#token}` } });
    expect(response.ok(), `${path}: ${await response.text()}`).toBe(true);
    return response.json();
  }
}

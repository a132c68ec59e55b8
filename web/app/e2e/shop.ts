import { type APIRequestContext, expect } from "@playwright/test";
import type { Herald } from "./herald";

/** Shop is a back end of its own, with jobs that run at its place. */
export class Shop {
  readonly #request: APIRequestContext;
  readonly #herald: Herald;
  readonly #token: string;

  private constructor(herald: Herald, request: APIRequestContext, token: string) {
    this.#herald = herald;
    this.#request = request;
    this.#token = token;
  }

  static async create(herald: Herald, request: APIRequestContext): Promise<Shop> {
    const link = await herald.linkFor("shop", "backend");
    return new Shop(herald, request, link.split("#token=")[1] ?? "");
  }

  /** Tells a user something. */
  tell(user: string, event: string, data: object): Promise<unknown> {
    return this.#post("/api/sse/message", { event, to: { user }, data });
  }

  /** A job of the user's that runs at the shop's and fails. */
  async fail(user: string, title: string, error: string): Promise<string> {
    const { id } = await this.#post<{ id: string }>("/api/jobs", {
      kind: "print",
      title,
      owner: user,
      external: true,
      start: true,
      worker: "press",
    });
    await this.#post(`/api/jobs/${id}/reports`, { reports: [{ attempt: 1, state: "failed", error }] });
    return id;
  }

  async #post<T>(path: string, data: object): Promise<T> {
    const response = await this.#request.post(`http://${this.#herald.address}${path}`, {
      headers: { authorization: `Bearer ${this.#token}` },
      data,
    });
    expect(response.ok(), await response.text()).toBe(true);
    return (await response.json()) as T;
  }
}

import type { APIRequestContext } from "@playwright/test";
import type { Herald } from "./herald";

/** What a report says, as the API takes it. */
export type Report = Record<string, unknown>;

/** A worker on another machine, as the server sees it: it starts jobs of a user's and reports on them. */
export class Worker {
  readonly #request: APIRequestContext;
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #support: string;

  private constructor(request: APIRequestContext, url: string, token: string, support: string) {
    this.#request = request;
    this.#url = url;
    this.#headers = { authorization: `Bearer ${token}` };
    this.#support = support;
  }

  static async create(herald: Herald, request: APIRequestContext): Promise<Worker> {
    const token = async (user: string, role: string) => (await herald.linkFor(user, role)).split("#token=")[1] ?? "";
    const url = `http://${herald.address}`;
    return new Worker(request, url, await token("robot", "worker"), await token("sue", "support"));
  }

  /** Starts a job of the user's, which runs from now on; its id. */
  async start(owner: string, title: string): Promise<string> {
    const body = { kind: "bench", title, owner, external: true, start: true };
    return ((await this.#post("/api/jobs", body)) as { id: string }).id;
  }

  async report(job: string, ...reports: Report[]): Promise<void> {
    await this.#post(`/api/jobs/${job}/reports`, { reports: reports.map((r) => ({ attempt: 1, ...r })) });
  }

  /** When the log took each message of the job's, in milliseconds. */
  async recorded(job: string): Promise<Map<string, number>> {
    const path = `/api/events?job=${job}&format=ndjson`;
    const response = await this.#request.get(this.#url + path, {
      headers: { authorization: `Bearer ${this.#support}` },
    });
    if (!response.ok()) throw new Error(await response.text());
    const lines = (await response.text()).split("\n").filter((line) => line !== "");
    const events = lines.map((line) => JSON.parse(line) as { recorded_at: string; data: { message?: string } });
    return new Map(events.map((e) => [e.data.message ?? "", milliseconds(e.recorded_at)]));
  }

  async #post(path: string, data: unknown): Promise<unknown> {
    const response = await this.#request.post(this.#url + path, { headers: this.#headers, data });
    if (!response.ok()) throw new Error(`${path}: ${await response.text()}`);
    return response.json();
  }
}

/** Date.parse keeps whole milliseconds; the log tells microseconds. */
function milliseconds(time: string): number {
  return Date.parse(time) + Number(`0.${/\.\d{3}(\d+)/.exec(time)?.[1] ?? "0"}`);
}

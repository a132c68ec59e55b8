import type { FieldProblem, Problem } from "./wire.js";

/** A request that the server has refused, or that was answered by something in between. */
export class HeraldError extends Error {
  override readonly name = "HeraldError";
  /** The HTTP status. */
  readonly status: number;
  /** Which kind of problem it is, such as "/problems/not-found". */
  readonly type: string;
  /** What to name when asking for help. */
  readonly requestId: string;
  /** What is wrong with which field of the request, when it is known. */
  readonly errors: readonly FieldProblem[];

  constructor(problem: Problem) {
    super((problem.detail ?? "") === "" ? problem.title : `${problem.title}: ${String(problem.detail)}`);
    this.status = problem.status;
    this.type = problem.type;
    this.requestId = problem.request_id ?? "";
    this.errors = problem.errors ?? [];
  }

  /** Reads an answer that is no success. */
  static async from(response: Response): Promise<HeraldError> {
    const text = await response.text().catch(() => "");
    return HeraldError.parse(response.status, text);
  }

  /** Reads the text of an answer that is no success. Anything but a problem is a proxy's page, for one. */
  static parse(status: number, text: string): HeraldError {
    return new HeraldError(
      problemOf(text) ?? { type: "about:blank", title: `The server answered with status ${String(status)}.`, status },
    );
  }
}

function problemOf(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    return typeof value?.title === "string" && typeof value.status === "number" ? (value as Problem) : undefined;
  } catch {
    return undefined;
  }
}

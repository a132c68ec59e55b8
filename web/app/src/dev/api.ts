/** An answer of the API, as it came. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Its body, if that is JSON. */
  readonly json: unknown;
}

/** Asks the API as a program would, by the page's cookie. It rejects only when there is no answer. */
export async function ask(
  method: string,
  path: string,
  {
    body,
    headers,
    ...init
  }: { body?: string; headers?: Record<string, string> } & Omit<RequestInit, "body" | "headers"> = {},
): Promise<Answer> {
  const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
  const response = await fetch(path, {
    method,
    headers: { ...type, ...headers },
    ...init,
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  return { status: response.status, body: text, json: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What an answer that is no success says for people. */
export function problemIn({ status, json }: Answer): { readonly type: string; readonly message: string } | undefined {
  if (status < 400) return undefined;
  const { type = "", title, detail } = (json ?? {}) as { type?: string; title?: string; detail?: string };
  const said = [title ?? `The server answered with status ${String(status)}`, detail].filter(Boolean).join(": ");
  return { type: type.replace("/problems/", ""), message: said };
}

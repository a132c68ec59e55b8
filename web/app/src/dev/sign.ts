/** How a source's webhooks are signed. */
export interface Form {
  readonly name: string;
  readonly scheme: "standard" | "stripe" | "hmac";
  /** Of hmac: where the HMAC is, what stands before it, and how it is written; hex unless it says otherwise. */
  readonly header?: string;
  readonly prefix?: string;
  readonly encoding?: "hex" | "base64";
}

/** A webhook that is to be signed. */
export interface Webhook {
  readonly id: string;
  readonly at: Date;
  readonly body: string;
}

/** The headers that say who has sent the webhook. It rejects with an Error for people when the secret is none. */
export async function sign(form: Form, secret: string, { id, at, body }: Webhook): Promise<Record<string, string>> {
  const seconds = String(Math.floor(at.getTime() / 1000));
  switch (form.scheme) {
    case "standard": {
      const mac = await hmac(standardKey(secret), `${id}.${seconds}.${body}`);
      return { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": `v1,${base64(mac)}` };
    }
    case "stripe":
      return { "stripe-signature": `t=${seconds},v1=${hex(await hmac(bytes(secret), `${seconds}.${body}`))}` };
    case "hmac": {
      const mac = await hmac(bytes(secret), body);
      return { [form.header ?? ""]: (form.prefix ?? "") + (form.encoding === "base64" ? base64(mac) : hex(mac)) };
    }
  }
}

/** A secret that somebody else could have: of the same form, and another. */
export function anotherSecret(): string {
  return `whsec_${base64(crypto.getRandomValues(new Uint8Array(24)))}`;
}

async function hmac(key: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array> {
  // Browsers have it on pages of HTTPS, and of this machine.
  if (!isSecureContext) throw new Error("Browsers sign on HTTPS and on 127.0.0.1 alone. Open this page there.");
  if (key.length === 0) throw new Error("There is no secret to sign with.");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, bytes(text)));
}

/** After whsec_, a secret of Standard Webhooks is base64. */
function standardKey(secret: string): Uint8Array<ArrayBuffer> {
  if (!secret.startsWith("whsec_")) return bytes(secret);
  try {
    return Uint8Array.from(atob(secret.slice(6)), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("After whsec_, a secret is base64.");
  }
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function hex(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function base64(mac: Uint8Array): string {
  return btoa(String.fromCharCode(...mac));
}

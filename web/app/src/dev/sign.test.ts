import { createHmac } from "node:crypto";
import { beforeEach, expect, test, vi } from "vitest";
import { anotherSecret, sign } from "./sign";

beforeEach(() => {
  vi.stubGlobal("isSecureContext", true);
});

const webhook = { id: "msg_1", at: new Date(1_700_000_000_900), body: '{"user":"grüße"}' };
const mac = (key: string | Buffer, text: string, encoding: "hex" | "base64") =>
  createHmac("sha256", key).update(text).digest(encoding);

test("Standard Webhooks sign id, time and body, by what stands behind whsec_ in base64", async () => {
  const key = Buffer.from("a secret of 24 bytes, ok");
  expect(await sign({ name: "a", scheme: "standard" }, `whsec_${key.toString("base64")}`, webhook)).toEqual({
    "webhook-id": "msg_1",
    "webhook-timestamp": "1700000000",
    "webhook-signature": `v1,${mac(key, `msg_1.1700000000.${webhook.body}`, "base64")}`,
  });
});

test("Stripe signs time and body", async () => {
  expect(await sign({ name: "a", scheme: "stripe" }, "secret", webhook)).toEqual({
    "stripe-signature": `t=1700000000,v1=${mac("secret", `1700000000.${webhook.body}`, "hex")}`,
  });
});

test("a bare HMAC is of the body, written as the source wants it", async () => {
  const form = { name: "a", scheme: "hmac", header: "X-Hub-Signature-256", prefix: "sha256=" } as const;
  expect(await sign(form, "secret", webhook)).toEqual({
    "X-Hub-Signature-256": `sha256=${mac("secret", webhook.body, "hex")}`,
  });
  expect(await sign({ ...form, prefix: "", encoding: "base64" }, "secret", webhook)).toEqual({
    "X-Hub-Signature-256": mac("secret", webhook.body, "base64"),
  });
});

test("what is no secret is said to be none", async () => {
  const form = { name: "a", scheme: "standard" } as const;
  await expect(sign(form, "whsec_%%%", webhook)).rejects.toThrow("base64");
  await expect(sign(form, "", webhook)).rejects.toThrow("no secret");
  vi.stubGlobal("isSecureContext", false);
  await expect(sign(form, anotherSecret(), webhook)).rejects.toThrow("HTTPS");
});

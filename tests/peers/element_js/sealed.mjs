// Encrypted attachments, as Element makes them (its package matrix-encrypt-attachment): AES-CTR by
// the Web Crypto API, with a counter of 64 bits behind 64 random ones.
const { subtle } = globalThis.crypto;
const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replaceAll("=", "");

/** What the homeserver gets, and what the event says of it. */
export async function sealed(clear) {
  const iv = new Uint8Array(16);
  globalThis.crypto.getRandomValues(iv.subarray(0, 8));
  const key = await subtle.generateKey({ name: "AES-CTR", length: 256 }, true, ["encrypt", "decrypt"]);
  const stored = await subtle.encrypt({ name: "AES-CTR", counter: iv, length: 64 }, key, clear);
  const hashes = { sha256: unpadded(await subtle.digest("SHA-256", stored)) };
  return [Buffer.from(stored), { v: "v2", key: await subtle.exportKey("jwk", key), iv: unpadded(iv), hashes }];
}

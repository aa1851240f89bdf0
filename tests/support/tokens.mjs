// JSON Web Tokens made by Node's own cryptography.

import { createHmac, createPrivateKey, sign as signBytes } from "node:crypto";

const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");

/** The JWS signing input of a token. */
export const signingInput = (header, claims) => `${encode(header)}.${encode(claims)}`;

/** Signs with a private key by the algorithm of the key. */
export function sign(key, input) {
  if (key.kty === "oct") return createHmac("sha256", Buffer.from(key.k, "base64url")).update(input).digest();
  const options = { key: createPrivateKey({ key, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  return signBytes(key.kty === "OKP" ? null : "sha256", Buffer.from(input), options);
}

/** Signs an access token with these claims. Members of the header or claims that are `undefined` are omitted. */
export function signToken(key, claims, header = {}) {
  const input = signingInput({ alg: key.alg, kid: key.kid, typ: "at+jwt", ...header }, claims);
  return `${input}.${sign(key, input).toString("base64url")}`;
}

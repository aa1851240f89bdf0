// Texts that the Worker stores encrypted, decrypted by Node's crypto as crates/core/src/at_rest.rs documents.

import { createDecipheriv, hkdfSync } from "node:crypto";

import { dataSecretId } from "../../packages/portcullis/src/secrets.mjs";

/** The value of a stored text. `list`: DATA_SECRETS. `row`: the bytes of the row's id. Throws if the text is that of another place. */
export function decrypted(stored, list, { table, column, row }) {
  const secret = list.split(",").find((secret) => stored.startsWith(dataSecretId(secret.trim())));
  if (secret === undefined) throw new Error("no secret of the list has the id of the text");
  const key = hkdfSync("sha256", Buffer.from(secret.trim(), "base64url"), "", "portcullis data encryption v1", 32);
  const bytes = Buffer.from(stored, "base64url");
  const [nonce, encrypted, tag] = [bytes.subarray(8, 20), bytes.subarray(20, -16), bytes.subarray(-16)];
  const decipher = createDecipheriv("aes-256-gcm", Buffer.from(key), nonce, { authTagLength: 16 });
  decipher.setAAD(Buffer.concat([table, column, row].flatMap(withLength)));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(encrypted), decipher.final()]);
}

function withLength(field) {
  const bytes = Buffer.from(field);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return [length, bytes];
}

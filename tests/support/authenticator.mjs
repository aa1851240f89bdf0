// An authenticator in software, and the browser in front of it: what navigator.credentials answers, as JSON. Options of its
// methods replace parts of the answer, before it is signed.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const bytes = (text) => Buffer.from(text, "base64url");
const sha256 = (data) => createHash("sha256").update(data).digest();

const FLAGS = { up: 0x01, uv: 0x04, be: 0x08, bs: 0x10, at: 0x40 };

/** Each algorithm: its COSE identifier, how to make a key pair, the COSE key of a JWK, and the hash to sign with. */
const ALGORITHMS = {
  ES256: {
    id: -7,
    generate: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    coseKey: ({ x, y }) => [1, 2, 3, -7, -1, 1, -2, bytes(x), -3, bytes(y)],
    hash: "sha256",
  },
  EdDSA: {
    id: -8,
    generate: () => generateKeyPairSync("ed25519"),
    coseKey: ({ x }) => [1, 1, 3, -8, -1, 6, -2, bytes(x)],
    hash: null,
  },
  RS256: {
    id: -257,
    generate: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    coseKey: ({ n, e }) => [1, 3, 3, -257, -1, bytes(n), -2, bytes(e)],
    hash: "sha256",
  },
};

export const ALGORITHM_NAMES = Object.keys(ALGORITHMS);

/** An array is a list of the names and values of a map, in canonical order. */
function cbor(value) {
  if (Number.isInteger(value)) return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Array.isArray(value)) return Buffer.concat([head(5, value.length / 2), ...value.map(cbor)]);
  return Buffer.concat([head(2, value.length), value]);
}

function head(major, number) {
  if (number < 24) return Buffer.from([(major << 5) | number]);
  if (number < 0x100) return Buffer.from([(major << 5) | 24, number]);
  return Buffer.from([(major << 5) | 25, number >> 8, number & 0xff]);
}

export class Authenticator {
  /** The passkeys, by relying party and user. */
  passkeys = [];

  /**
   * `counts`: whether it has a signature counter. `backedUp`: whether its passkeys are copied to other devices.
   * `origin`: that of the page.
   */
  constructor({
    algorithm = "ES256",
    counts = false,
    backedUp = false,
    origin = "http://localhost:8787",
    aaguid,
  } = {}) {
    Object.assign(this, { algorithm, counts, backedUp, origin, aaguid: aaguid ?? Buffer.alloc(16) });
  }

  /** Answers creation options: makes a passkey and returns its registration. */
  create({ publicKey }, changes = {}) {
    const algorithm = ALGORITHMS[this.algorithm];
    const keys = algorithm.generate();
    const id = changes.id ?? randomBytes(32);
    const passkey = { id, keys, algorithm, rpId: publicKey.rp.id, userHandle: publicKey.user.id, counter: 0 };
    this.passkeys.push(passkey);
    const coseKey = cbor(changes.coseKey ?? algorithm.coseKey(keys.publicKey.export({ format: "jwk" })));
    const length = Buffer.from([id.length >> 8, id.length & 0xff]);
    const attested = Buffer.concat([this.aaguid, length, id, coseKey]);
    const authData = Buffer.concat([this.#authenticatorData(passkey, { at: true, ...changes }), attested]);
    const object = cbor(["fmt", changes.fmt ?? "none", "attStmt", [], "authData", authData]);
    return {
      id: base64url(id),
      rawId: base64url(id),
      type: "public-key",
      authenticatorAttachment: "platform",
      clientExtensionResults: {},
      response: {
        clientDataJSON: this.#clientData("webauthn.create", publicKey, changes),
        attestationObject: base64url(object),
        transports: ["internal"],
        publicKeyAlgorithm: algorithm.id,
        authenticatorData: base64url(authData),
      },
    };
  }

  /** Answers request options with a passkey, the last one by default. */
  get({ publicKey }, { passkey = this.passkeys.at(-1), ...changes } = {}) {
    if (this.counts) passkey.counter += 1;
    const authData = this.#authenticatorData(passkey, changes);
    const clientDataJSON = this.#clientData("webauthn.get", publicKey, changes);
    const signed = Buffer.concat([authData, sha256(bytes(clientDataJSON))]);
    const { hash } = passkey.algorithm;
    const signature = sign(hash, signed, (changes.signedBy ?? passkey).keys.privateKey);
    return {
      id: base64url(passkey.id),
      rawId: base64url(passkey.id),
      type: "public-key",
      authenticatorAttachment: "platform",
      clientExtensionResults: {},
      response: {
        clientDataJSON,
        authenticatorData: base64url(authData),
        signature: base64url(changes.damaged ? damaged(signature) : signature),
        userHandle: "userHandle" in changes ? changes.userHandle : passkey.userHandle,
      },
    };
  }

  #authenticatorData(passkey, changes) {
    const set = { up: true, uv: true, be: this.backedUp, bs: this.backedUp, ...changes };
    const flags = Object.entries(FLAGS).reduce((flags, [name, bit]) => (set[name] ? flags | bit : flags), 0);
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(changes.counter ?? passkey.counter);
    return Buffer.concat([sha256(changes.rpId ?? passkey.rpId), Buffer.from([flags]), counter]);
  }

  #clientData(type, { challenge }, changes) {
    const { crossOrigin = false, topOrigin } = changes;
    const data = {
      type: changes.type ?? type,
      challenge: changes.challenge ?? challenge,
      origin: changes.origin ?? this.origin,
      crossOrigin,
      ...(topOrigin === undefined ? {} : { topOrigin }),
    };
    return base64url(JSON.stringify(data));
  }
}

/** The last byte of a signature differs. */
function damaged(signature) {
  const copy = Buffer.from(signature);
  copy[copy.length - 1] ^= 1;
  return copy;
}

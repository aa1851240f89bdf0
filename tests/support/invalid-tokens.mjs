// Access tokens that everyone who verifies must refuse, and some that everyone must accept: the Worker, @portcullis/verify and
// the verifier in Rust.

import { createHmac, createPublicKey, generateKeyPairSync } from "node:crypto";

import { decodeJwt, decodeProtectedHeader } from "jose";

const ES256 = { name: "ECDSA", hash: "SHA-256" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };

/** Makes tokens like a valid one, with changes. */
export class Forge {
  /** `privateJwk`: the ES256 key of the issuer, which signs unless a test says otherwise. */
  constructor(privateJwk, token) {
    const { d, ...publicJwk } = privateJwk;
    Object.assign(this, { token, privateJwk, publicJwk });
    this.header = decodeProtectedHeader(token);
    this.claims = decodeJwt(token);
  }

  /** `header` and `claims` are changes, of which `undefined` removes a member; `head` and `body` replace the whole text. */
  async make({ sign, ...parts } = {}) {
    const input = this.signingInput(parts);
    const make = sign ?? (await signer(this.privateJwk));
    return `${input}.${Buffer.from(await make(input)).toString("base64url")}`;
  }

  /** One token per change. */
  all(changes) {
    return Promise.all(changes.map((change) => this.make(change)));
  }

  signingInput({ header, claims, head, body } = {}) {
    const text = [
      head ?? JSON.stringify({ ...this.header, ...header }),
      body ?? JSON.stringify({ ...this.claims, ...claims }),
    ];
    return text.map((part) => Buffer.from(part).toString("base64url")).join(".");
  }
}

/** By name, changes that leave a token valid. */
export const VALID_CHANGES = {
  "the same claims": {},
  "the long type": { header: { typ: "application/at+jwt" } },
  "the type in another case": { header: { typ: "AT+JWT" } },
  "an audience among others": ({ claims }) => ({ claims: { aud: ["other", claims.aud] } }),
  "a custom claim": { claims: { tenant: "acme" } },
  "the claims of older releases": { claims: { auth_time: undefined, acr: undefined, amr: undefined } },
  "nested metadata": { claims: { user_metadata: { a: [{ a: 1, b: '"\\"{' }, { a: 2 }], b: { a: "\u{1f511}" } } } },
};

/** The valid tokens of `VALID_CHANGES`, by name. */
export async function validTokens(forge) {
  const made = Object.entries(VALID_CHANGES).map(async ([name, change]) => [
    name,
    await forge.make(typeof change === "function" ? change(forge) : change),
  ]);
  return Object.fromEntries(await Promise.all(made));
}

/** By what is wrong, the tokens that must be refused. */
export const INVALID_TOKENS = {
  "only the algorithm of the key is accepted": async (forge) => {
    const publicKey = createPublicKey({ key: forge.publicJwk, format: "jwk" });
    const der = publicKey.export({ type: "spki", format: "der" });
    const pem = publicKey.export({ type: "spki", format: "pem" });
    const raw = Buffer.from(forge.publicJwk.x + forge.publicJwk.y, "base64url");
    const publicKeys = [
      pem,
      pem.trimEnd(),
      ` ${pem}`,
      pem.replaceAll("\n", "\r\n"),
      der,
      JSON.stringify(forge.publicJwk),
      raw,
      "",
      Buffer.alloc(32),
      "secret",
    ];
    const hs256 = (secret) => (input) => createHmac("sha256", secret).update(input).digest();
    const algorithms = ["RS256", "PS256", "ES384", "ES512", "HS384", "EdDSA", "es256", ""];
    return [
      ...["none", "None", "NONE", "nOnE"].flatMap((alg) => {
        const input = forge.signingInput({ header: { alg } });
        return [input, `${input}.`, `${input}.${signatureOf(forge.token)}`];
      }),
      ...(await forge.all(publicKeys.map((secret) => ({ header: { alg: "HS256" }, sign: hs256(secret) })))),
      ...(await forge.all(algorithms.map((alg) => ({ header: { alg } })))),
    ];
  },

  "a key is found only by its kid in the key set": (forge) => {
    const { kid } = forge.header;
    const paths = ["../../dev/null", "' OR 1=1--", "|id", "k".repeat(4000), ""];
    const kids = [...paths, 1, {}, null, [kid], `${kid} `, "\u{1f511}", undefined];
    return forge.all(kids.map((other) => ({ header: { kid: other } })));
  },

  "a token with an extension or a key in its header is refused": async (forge) => {
    const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = own.publicKey.export({ format: "jwk" });
    const sign = await signer(own.privateKey.export({ format: "jwk" }));
    const keys = [{}, { jwk }, { jwk, kid: undefined }, { x5c: ["MIIB"] }];
    const extensions = [
      { crit: ["exp"] },
      { crit: [] },
      { b64: false, crit: ["b64"] },
      { jwk: forge.publicJwk },
      { cty: "JWT" },
    ];
    return forge.all([...keys.map((header) => ({ header, sign })), ...extensions.map((header) => ({ header }))]);
  },

  "claims that are wrong, of the wrong type or missing are refused": (forge) => {
    const { iss, aud, auth_time, acr, amr, ...rest } = forge.claims;
    const wrong = [
      ...["9999999999", -1, 1.5, null, [], true, {}].flatMap((value) => [
        { exp: value },
        { iat: value },
        { nbf: value },
      ]),
      ...Object.keys({ iss, aud, ...rest }).map((name) => ({ [name]: undefined })),
      { nbf: Math.floor(Date.now() / 1000) + 60 },
      { iss: `${iss}/` },
      {
        iss:
          iss.replace("localhost", "127.0.0.1") === iss ? "https://localhost" : iss.replace("localhost", "127.0.0.1"),
      },
      { iss: iss.replace(/^https?/, (scheme) => (scheme === "http" ? "https" : "http")) },
      { aud: "https://other.example" },
      { aud: [] },
      { aud: `${aud}/` },
      { sub: "" },
      { sub: 1 },
      { sid: "x" },
      { roles: "admin" },
    ];
    const times = ["1e400", "9223372036854775808"].map((exp) => ({
      body: JSON.stringify(forge.claims).replace(String(forge.claims.exp), exp),
    }));
    return forge.all([...wrong.map((claims) => ({ claims })), ...times]);
  },

  "tokens of other types are not access tokens": (forge) => {
    const types = ["JWT", "dpop+jwt", "logout+jwt", "", null, 1, undefined];
    return forge.all(types.map((typ) => ({ header: { typ } })));
  },

  "signatures that are truncated, extended, encoded differently or out of range are refused": ({ token }) => {
    const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
    const zero = Buffer.alloc(32);
    const change = (edit) => withSignature(token, edit);
    const r = (signature) => signature.subarray(0, 32);
    const s = (signature) => signature.subarray(32);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const lastFour = [1, 2, 3, 4].map((back) => token.length - back);
    // The last character has four unused bits, which are zero: of sixteen characters that decode alike, one is canonical.
    const last = alphabet.indexOf(token.at(-1));
    return [
      change(() => Buffer.alloc(0)),
      change((signature) => signature.subarray(0, 63)),
      change((signature) => Buffer.concat([signature, zero])),
      change((signature) => Buffer.concat([s(signature), r(signature)])),
      change(() => Buffer.alloc(64)),
      change((signature) => Buffer.concat([zero, s(signature)])),
      change((signature) => Buffer.concat([r(signature), zero])),
      change((signature) => Buffer.concat([order, s(signature)])),
      change((signature) => Buffer.concat([r(signature), order])),
      change(() => Buffer.alloc(64, 0xff)),
      change(derOf),
      ...lastFour.map((at) => replaceAt(token, at, token[at] === "A" ? "B" : "A")),
      ...Array.from({ length: 15 }, (_, bits) => replaceAt(token, token.length - 1, alphabet[last + bits + 1])),
    ];
  },

  "the compact form has three parts in canonical base64url": ({ token }) => {
    const [head, body, signature] = token.split(".");
    return [
      `${head}.${body}`,
      `${head}.${body}.${signature}.`,
      `.${head}.${body}.${signature}`,
      `${head}.${body}.${signature}=`,
      `${head}=.${body}.${signature}`,
      `${head}.${body}==.${signature}`,
      `${head}.${body}.${signature.replace(/[-_]/g, "+")}+`,
      `${head}.${body}.${signature}.a.b`,
      "a.b.c",
      "...",
      ".".repeat(5000),
      "a".repeat(7000),
    ];
  },

  "duplicate members are refused in either order, even with a valid signature": (forge) => {
    const head = JSON.stringify(forge.header);
    const body = JSON.stringify(forge.claims);
    const twice = (json, member) => [json.replace("{", `{${member},`), json.replace(/}$/, `,${member}}`)];
    const heads = ['"alg":"none"', '"alg":"ES256"', '"kid":"x"', '"typ":"JWT"'].flatMap((member) =>
      twice(head, member),
    );
    const members = ['"sub":"x"', '"exp":9999999999', '"roles":["admin"]', '"x":1,"x":1', '"x":1,"\\u0078":1'];
    const nested = ['"x":{"y":1,"y":2}', '"x":[{"y":1,"y":2}]', '"x":{"y":{"z":"}","z":"{"}}'];
    const bodies = [...members, ...nested].flatMap((member) => twice(body, member));
    return forge.all([...heads.map((text) => ({ head: text })), ...bodies.map((text) => ({ body: text }))]);
  },

  "a header or payload that is not a JSON object in UTF-8 is refused, however deep or long": (forge) => {
    const open = JSON.stringify(forge.claims).slice(0, -1);
    const texts = [
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      '{"a":"\\ud800"}',
      "\ufeff{}",
      "[]",
      '"x"',
      "",
      `${open}} x`,
      "[".repeat(4000),
      `${open},"x":${"[".repeat(500)}${"]".repeat(500)}}`,
    ];
    const bodies = [
      Buffer.concat([Buffer.from(`${open},"x":"`), Buffer.from([0xff]), Buffer.from('"}')]),
      `${open},"x":"\\ud800"}`,
      `\ufeff${open}}`,
      `${open},"x":${"[".repeat(127)}${"]".repeat(127)}}`,
    ];
    return forge.all([
      ...texts.flatMap((text) => [{ body: text }, { head: text }]),
      ...bodies.map((body) => ({ body })),
    ]);
  },
};

/** Signs with an ES256 key, by WebCrypto. */
export async function signer({ kty, crv, x, y, d }) {
  const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y, d }, P256, false, ["sign"]);
  return (input) => crypto.subtle.sign(ES256, key, Buffer.from(input));
}

function signatureOf(token) {
  return token.slice(token.lastIndexOf(".") + 1);
}

/** The same token with a changed signature. */
export function withSignature(token, edit) {
  const signature = Buffer.from(signatureOf(token), "base64url");
  return token.slice(0, token.lastIndexOf(".") + 1) + Buffer.from(edit(signature)).toString("base64url");
}

/** The same signature in DER, as many libraries produce it. */
function derOf(signature) {
  const integer = (bytes) => {
    const trimmed = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
    const content = trimmed[0] > 0x7f ? Buffer.concat([Buffer.alloc(1), trimmed]) : trimmed;
    return Buffer.concat([Buffer.from([2, content.length]), content]);
  };
  const body = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function replaceAt(text, at, replacement) {
  return text.slice(0, at) + replacement + text.slice(at + 1);
}

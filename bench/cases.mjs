// The cases of the benchmark and their targets. Each response is checked, so that refusals are not measured by mistake.

import { firstHashers, hashers } from "./hashes.mjs";
import { PASSWORD } from "./parameters.mjs";
import { peer, portcullis } from "./servers.mjs";

const PEER_SECRETS = {
  BASE_URL: "http://127.0.0.1:8787",
  BETTER_AUTH_SECRET: "a secret of the benchmark, 32 bytes or more",
};

/** The Workers that cases share, each started on first use. */
export class Workers {
  #started = new Map();
  #starters = {
    portcullis: () => portcullis(),
    bareD1: () => peer("bare-d1", { schema: true }),
    bareKv: () => peer("bare-kv"),
    bareAnswer: () => peer("bare-answer"),
    bareLimit: () => peer("bare-limit"),
    betterAuth: () => betterAuth({}),
    betterAuthJwt: () => betterAuth({ JWT: "true" }),
    betterAuthCached: () => betterAuth({ COOKIE_CACHE: "true" }),
  };

  /** `before`: the folder with another build of Portcullis, to compare with. */
  constructor({ before } = {}) {
    this.#starters.before = () => portcullis({ folder: before });
  }

  get(name) {
    if (!this.#started.has(name)) this.#started.set(name, this.#starters[name]());
    return this.#started.get(name);
  }

  async close() {
    await Promise.all([...this.#started.values()].map(async (server) => (await server).close()));
  }
}

async function betterAuth(bindings) {
  const server = await peer("better-auth", { bindings: { ...PEER_SECRETS, ...bindings } });
  const { status, text } = await server.request("GET", "/migrate");
  if (status !== 200) throw new Error(`better-auth's migrations: ${status} ${text}`);
  return server;
}

/**
 * The cases. `requests` is the number per competitor and round, `rounds` the number in a quick and in a full run;
 * `warmUp` is as in `measure`. The first competitor is Portcullis. `targets` are the maximum ratios of its latency or
 * CPU time (`judgedBy`) to that of another competitor. `own` creates the competitor Portcullis, unless `others` does.
 */
export const CASES = [
  {
    name: "hash",
    judgedBy: "cpu",
    targets: {
      "`argon2` crate, opt-level 3": 0.5,
      "node:crypto (OpenSSL), native": 0.75,
      "argon2-rust, native AVX2": 1.7,
    },
    // Several in a row, because after a turn of another competitor the first hash finds no memory cached.
    requests: 8,
    // V8 needs several dozen hashes to optimize all code.
    warmUp: 40,
    rounds: [4, 15],
    others: () => hashers(),
  },
  {
    name: "hash, first in a fresh isolate",
    judgedBy: "cpu",
    requests: 1,
    rounds: [3, 10],
    others: () => firstHashers(),
  },
  {
    name: "refresh",
    targets: { "bare Worker, one D1 UPDATE … RETURNING": 1.15, "better-auth get-session": 0.6 },
    requests: 40,
    warmUp: 400,
    rounds: [12, 60],
    own: refresh,
    others: async (workers) => [
      await bareUpdate(await workers.get("bareD1")),
      await session("better-auth get-session", await workers.get("betterAuth")),
      await token(await workers.get("betterAuthJwt")),
    ],
  },
  {
    name: "/verify",
    targets: { "bare Worker, one KV get": 1.15 },
    requests: 40,
    warmUp: 400,
    rounds: [12, 60],
    own: (server) => bearer("/verify", server),
    others: async (workers) => [
      await bareGet(await workers.get("bareKv")),
      await session("better-auth get-session", await workers.get("betterAuth")),
      await session("better-auth get-session, cookie cache on", await workers.get("betterAuthCached")),
    ],
  },
  {
    name: "/me",
    requests: 40,
    warmUp: 400,
    rounds: [12, 60],
    own: (server) => bearer("/me", server),
    others: async (workers) => [await session("better-auth get-session", await workers.get("betterAuth"))],
  },
  {
    name: "register",
    requests: 3,
    // Hashing must be warm too.
    warmUp: 40,
    rounds: [8, 30],
    own: register,
    others: async (workers) => [signUp(await workers.get("betterAuth"))],
  },
  {
    name: "login",
    targets: { "better-auth sign-in": 0.35 },
    requests: 3,
    // Hashing must be warm too.
    warmUp: 40,
    rounds: [8, 30],
    own: login,
    others: async (workers) => [await signIn(await workers.get("betterAuth"))],
  },
  {
    name: "a forged refresh token",
    requests: 40,
    warmUp: 400,
    rounds: [12, 60],
    own: forgedRefresh,
    others: (workers) => refusals("POST", workers),
  },
  {
    name: "a forged access token",
    requests: 40,
    warmUp: 400,
    rounds: [12, 60],
    own: forgedAccess,
    others: (workers) => refusals("GET", workers),
  },
];

/** The competitors of a case: Portcullis and the others or, if a build before is given, that one. */
export async function competitors({ own, others }, workers, before) {
  if (!before) return [...(own ? [await own(await workers.get("portcullis"))] : []), ...(await others(workers))];
  return [
    await own(await workers.get("portcullis")),
    { ...(await own(await workers.get("before"))), name: "Portcullis, before" },
  ];
}

let users = 0;
const newUser = () => ({ email: `person-${++users}@example.org`, password: PASSWORD, name: "Ada Lovelace" });
const competitor = (server, name, step) => ({ name, step, cpu: () => server.cpu() });

async function registered(server) {
  const user = newUser();
  return { ...user, ...(await server.expect(201, "POST", "/register", { json: user })) };
}

// Each response contains the next token.
async function refresh(server) {
  let { refresh_token } = await registered(server);
  return competitor(server, "Portcullis", async () => {
    ({ refresh_token } = await server.expect(200, "POST", "/refresh", { json: { refresh_token } }));
  });
}

async function bareUpdate(server) {
  const database = await server.database();
  await database.batch([
    database.prepare(
      `INSERT INTO users (id, email, email_key, password_hash, credentials_version, slot, roles, created_at)
       VALUES ('u', 'ada@example.org', 'ada@example.org', '', 0, 0, '["user"]', 0)`,
    ),
    database.prepare(
      `INSERT INTO refresh_tokens (session_id, user_id, secret_hash, amr, authenticated_at, generation, grace_retries, created_at,
         rotated_at, expires_at, absolute_expires_at, access_expires_at)
       VALUES ('zBV0bvxXN7Rnw5VbBBAWkg', 'u', 'NfVgY6wIhv-rh_lmJ8BSyr6fyKHXdQrBdmFgQDfCHSY', 'pwd', 0, 0, 0, 0, 0, 0, 9999999999, 0)`,
    ),
  ]);
  let refresh_token = `zBV0bvxXN7Rnw5VbBBAWkg.0.${"A".repeat(92)}`;
  return competitor(server, "bare Worker, one D1 UPDATE … RETURNING", async () => {
    ({ refresh_token } = await server.expect(200, "POST", "/", { json: { refresh_token } }));
  });
}

async function bearer(pathname, server) {
  const { access_token } = await registered(server);
  return competitor(server, "Portcullis", () => server.expect(200, "GET", pathname, { bearer: access_token }));
}

function bareGet(server) {
  const token = `zBV0bvxXN7Rnw5VbBBAWkg.${"A".repeat(500)}`;
  return competitor(server, "bare Worker, one KV get", () => server.expect(200, "GET", "/", { bearer: token }));
}

function register(server) {
  return competitor(server, "Portcullis", () => server.expect(201, "POST", "/register", { json: newUser() }));
}

const signUp = (server) =>
  competitor(server, "better-auth sign-up", () =>
    server.expect(200, "POST", "/api/auth/sign-up/email", { json: newUser() }),
  );

async function login(server) {
  const { email, password } = await registered(server);
  return competitor(server, "Portcullis", () => server.expect(200, "POST", "/login", { json: { email, password } }));
}

async function signIn(server) {
  const user = newUser();
  await server.expect(200, "POST", "/api/auth/sign-up/email", { json: user });
  const { email, password } = user;
  return competitor(server, "better-auth sign-in", () =>
    server.expect(200, "POST", "/api/auth/sign-in/email", { json: { email, password } }),
  );
}

// The cookies that a browser sends after sign-up.
async function cookie(server) {
  const { status, headers, text } = await server.request("POST", "/api/auth/sign-up/email", { json: newUser() });
  if (status !== 200) throw new Error(`better-auth's sign-up: ${status} ${text}`);
  return headers["set-cookie"].map((line) => line.split(";")[0]).join("; ");
}

async function session(name, server) {
  const headers = { Cookie: await cookie(server) };
  return competitor(server, name, async () => {
    const answer = await server.expect(200, "GET", "/api/auth/get-session", { headers });
    // It also answers 200 without a session.
    if (!answer?.user?.id) throw new Error("better-auth's get-session found no session");
  });
}

async function token(server) {
  const headers = { Cookie: await cookie(server) };
  return competitor(server, "better-auth /token (ES256)", async () => {
    const answer = await server.expect(200, "GET", "/api/auth/token", { headers });
    if (!answer?.token) throw new Error("better-auth's /token returned no token");
  });
}

async function forgedRefresh(server) {
  const refresh_token = forged((await registered(server)).refresh_token, "pcrt_");
  return competitor(server, "Portcullis", () => server.expect(401, "POST", "/refresh", { json: { refresh_token } }));
}

async function forgedAccess(server) {
  const { access_token } = await registered(server);
  const parts = access_token.split(".");
  const bearer = [parts[0], parts[1], forged(parts[2], "")].join(".");
  return competitor(server, "Portcullis", () => server.expect(401, "GET", "/verify", { bearer }));
}

/** The token with one bit of its last byte flipped, in canonical base64url. */
export function forged(token, prefix) {
  const bytes = Buffer.from(token.slice(prefix.length), "base64url");
  bytes[bytes.length - 1] ^= 1;
  return prefix + bytes.toString("base64url");
}

async function refusals(method, workers) {
  const { refresh_token, access_token } = await registered(await workers.get("portcullis"));
  const options = method === "POST" ? { json: { refresh_token } } : { bearer: access_token };
  const refused = (server, name) => competitor(server, name, () => server.expect(401, method, "/", options));
  return [
    refused(await workers.get("bareAnswer"), "bare Worker that answers at once"),
    refused(await workers.get("bareLimit"), "bare Worker, one rate limiter"),
  ];
}

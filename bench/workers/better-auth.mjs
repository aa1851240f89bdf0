// better-auth on D1, as its guides for Cloudflare and for its database have it: with its defaults, but for its rate
// limits, which would answer 429 to a benchmark. With JWT its token plugin too, signing by the algorithm that Portcullis
// signs by; with COOKIE_CACHE its cached sessions, which are not looked up while the cookie is fresh.

import { env } from "cloudflare:workers";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { jwt } from "better-auth/plugins";

const options = {
  database: env.DB,
  baseURL: env.BASE_URL,
  secret: env.BETTER_AUTH_SECRET,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  advanced: { ipAddress: { ipAddressHeaders: ["cf-connecting-ip"] } },
  session: { cookieCache: { enabled: env.COOKIE_CACHE === "true" } },
  plugins: env.JWT === "true" ? [jwt({ jwks: { keyPairConfig: { alg: "ES256" } } })] : [],
};
const auth = betterAuth(options);

export default {
  async fetch(request) {
    if (new URL(request.url).pathname !== "/migrate") return auth.handler(request);
    const { runMigrations } = await getMigrations(options);
    await runMigrations();
    return new Response("migrated");
  },
};

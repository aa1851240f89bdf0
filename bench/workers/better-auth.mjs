// better-auth on D1, set up as in its guides for Cloudflare and databases, with its defaults except rate limits, which would
// answer a benchmark with 429. JWT enables its token plugin, with the signature algorithm of Portcullis. COOKIE_CACHE enables
// sessions in cookies, which are not looked up in D1 while the cookie is fresh.

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

// A local D1 database, for the stand-in of wrangler. For each call, wrangler starts a workerd with the database in a folder, and
// makes the statements one batch. This does the same, with one workerd for all commands of a test.

import { join } from "node:path";

import { convertV4MiniflareOptions, Miniflare } from "miniflare";

import { readToml } from "../../scripts/lib.mjs";

const { binding, database_id: id } = readToml("wrangler.toml").d1_databases[0];
/** By which wrangler names the file of the database. */
export const DATABASE_ID = id ?? binding;

const BATCH = `export default {
  async fetch(request, { DATABASE }) {
    const statements = await request.json();
    try {
      return Response.json(await DATABASE.batch(statements.map((sql) => DATABASE.prepare(sql))));
    } catch (error) {
      return Response.json({ error: { text: (error.cause ?? error).message } });
    }
  },
};`;

/** Starts the database in a folder of wrangler. `url` answers a JSON array of statements with what wrangler prints. */
export async function localD1(folder) {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: BATCH,
      compatibilityDate: readToml("wrangler.toml").compatibility_date,
      resourcePersistencePath: join(folder, "v3"),
      d1Databases: { DATABASE: DATABASE_ID },
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  return { url: String(await miniflare.unsafeGetDirectURL()), close: () => miniflare.dispose() };
}

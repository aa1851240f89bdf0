// How somebody else's logins fare beside a flood: clients that hang up, one source that wants all the places, hashes that are
// dear. Against the built Worker in local workerd, over loopback, bounded in count and time.

import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";

import { PASSWORD } from "./parameters.mjs";
import { floodTable } from "./report.mjs";
import { portcullis } from "./servers.mjs";

/** Logins of somebody else in a round, one after the other, as long as there are milliseconds for more. */
const [LOGINS, ROUND_MILLIS] = [20, 60_000];
/** How long an answer may take, in milliseconds, before it counts as none. */
const MOST_MILLIS = 30_000;
/** Until clients hang up, in milliseconds: the Worker has their requests by then. */
const HANG_UP_AFTER = 100;
/** "correct horse battery staple", by libxcrypt. */
const BCRYPT_12 = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";

const source = (number) => `198.51.${100 + Math.floor(number / 250)}.${number % 250}`;
const stranger = (number) => ({ email: `stranger-${number}@example.org`, password: "not the right one" });

/** The floods: how many requests each is, and what begins one of them and resolves to its status, 0 for none. */
const FLOODS = [
  { name: "nobody", count: 0 },
  {
    name: "330 that hang up, each from elsewhere",
    count: 330,
    one: (server, number) => hangUp(server, stranger(number), source(number)),
  },
  { name: "256 from one source", count: 256, one: (server, number) => login(server, stranger(number), "203.0.113.1") },
  {
    name: "60 with bcrypt at cost 12, each from elsewhere",
    count: 60,
    one: (server, number) => login(server, dear(number), source(number)),
  },
];

const dear = (number) => ({ email: `dear-${number}@example.org`, password: PASSWORD });

/** Measures all floods, prints a table, and ends. */
export async function flood({ quick }) {
  const server = await portcullis();
  try {
    const somebody = { email: "somebody@example.org", password: PASSWORD };
    await server.expect(201, "POST", "/register", { json: somebody });
    await peopleWithDearHashes(server, FLOODS.at(-1).count);
    const results = [];
    for (const { name, count, one } of FLOODS) {
      console.error(`bench: beside ${name}`);
      const rounds = [];
      for (let round = 0; round < (quick ? 1 : 3); round += 1) rounds.push(await beside(server, somebody, count, one));
      results.push({
        name,
        others: rounds.flatMap(({ others }) => others),
        flood: rounds.flatMap((measured) => measured.flood),
      });
    }
    console.log(`\n${floodTable(results)}`);
  } finally {
    await server.close();
  }
}

/** Somebody else's logins while a flood lasts, and what the flood was answered. */
async function beside(server, somebody, count, one) {
  const flood = Array.from({ length: count }, (_, number) => one(server, number));
  const others = [];
  const end = performance.now() + ROUND_MILLIS;
  while (others.length < LOGINS && performance.now() < end) {
    const began = performance.now();
    const status = await login(server, somebody, "192.0.2.1");
    others.push({ status, millis: performance.now() - began });
  }
  return { others, flood: await Promise.all(flood) };
}

async function peopleWithDearHashes(server, count) {
  for (let number = 0; number < count; number += 1)
    await server.expect(201, "POST", "/register", { json: dear(number) });
  const database = await server.database();
  await database.prepare("UPDATE users SET password_hash = ? WHERE email LIKE 'dear-%'").bind(BCRYPT_12).run();
}

function login({ url }, json, from) {
  const body = JSON.stringify(json);
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    "CF-Connecting-IP": from,
  };
  return new Promise((resolve) => {
    const options = {
      agent: false,
      host: url.hostname,
      port: url.port,
      method: "POST",
      path: "/login",
      headers,
      signal: AbortSignal.timeout(MOST_MILLIS),
    };
    const request = httpRequest(options, (response) =>
      response
        .resume()
        .on("end", () => resolve(response.statusCode))
        .on("error", () => resolve(0)),
    );
    request.on("error", () => resolve(0)).end(body);
  });
}

function hangUp({ url }, json, from) {
  const body = JSON.stringify(json);
  const lines = [
    "POST /login HTTP/1.1",
    `Host: ${url.host}`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    `CF-Connecting-IP: ${from}`,
  ];
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname, port: Number(url.port) }, () => {
      socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`, () =>
        setTimeout(() => socket.resetAndDestroy(), HANG_UP_AFTER),
      );
    });
    socket.on("error", () => {}).on("close", () => resolve(0));
  });
}

// Measures the logins of another user during a flood: clients that disconnect, many logins from one source, expensive
// hashes. Runs against the built Worker in local workerd, over loopback, limited in number and time.

import { connect } from "node:net";
import { performance } from "node:perf_hooks";

import { login as logIn, source } from "./logins.mjs";
import { PASSWORD } from "./parameters.mjs";
import { floodTable } from "./report.mjs";
import { portcullis } from "./servers.mjs";

/** Maximum number of sequential logins of the other user in a round, and the time limit of the round. */
const [MAX_LOGINS, ROUND_MILLIS] = [20, 60_000];
/** Milliseconds after which clients disconnect, when the Worker has received their requests. */
const HANG_UP_AFTER = 100;
/** "correct horse battery staple", by libxcrypt. */
const BCRYPT_12 = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";

const login = (...values) => logIn(...values).then(({ status }) => status);
const unknownUser = (number) => ({ email: `unknown-${number}@example.org`, password: "not the right one" });

/** The floods: the number of requests, and a function that sends one and resolves to its status, or 0 without one. */
const FLOODS = [
  { name: "nobody", count: 0 },
  {
    name: "330 logins that hang up, each from another source",
    count: 330,
    one: (server, number) => hangUp(server, unknownUser(number), source(number)),
  },
  {
    name: "256 logins at once from one source",
    count: 256,
    one: (server, number) => login(server, unknownUser(number), "203.0.113.1"),
  },
  {
    name: "60 logins with imported bcrypt-12 hashes, each from another source",
    count: 60,
    one: (server, number) => login(server, expensiveUser(number), source(number)),
  },
];

const expensiveUser = (number) => ({ email: `expensive-${number}@example.org`, password: PASSWORD });

/** Measures all floods, and prints a table. */
export async function flood({ quick }) {
  const server = await portcullis();
  try {
    const user = { email: "somebody@example.org", password: PASSWORD };
    await server.expect(201, "POST", "/register", { json: user });
    await createExpensiveUsers(server, FLOODS.at(-1).count);
    const results = [];
    for (const { name, count, one } of FLOODS) {
      console.error(`bench: beside ${name}`);
      const rounds = [];
      for (let round = 0; round < (quick ? 1 : 3); round += 1)
        rounds.push(await measureDuring(server, user, count, one));
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

/** The logins of another user during a flood, and the statuses of the flood. */
async function measureDuring(server, user, count, one) {
  const flood = Array.from({ length: count }, (_, number) => one(server, number));
  const others = [];
  const end = performance.now() + ROUND_MILLIS;
  while (others.length < MAX_LOGINS && performance.now() < end) {
    const began = performance.now();
    const status = await login(server, user, "192.0.2.1");
    others.push({ status, millis: performance.now() - began });
  }
  return { others, flood: await Promise.all(flood) };
}

async function createExpensiveUsers(server, count) {
  for (let number = 0; number < count; number += 1)
    await server.expect(201, "POST", "/register", { json: expensiveUser(number) });
  const database = await server.database();
  await database.prepare("UPDATE users SET password_hash = ? WHERE email LIKE 'expensive-%'").bind(BCRYPT_12).run();
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

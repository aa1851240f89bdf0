// Measures attacks on logins: how they are answered, what their victim and other users notice meanwhile, and what they cost in D1,
// KV and memory. Then, how long the answers for unknown, known and malformed names take. Runs against the built Worker in local
// workerd, over loopback, limited in number and time.

import { Agent } from "node:http";

import { login, post, source } from "./logins.mjs";
import { PASSWORD } from "./parameters.mjs";
import { abuseTable, namesTable } from "./report.mjs";
import { portcullis } from "./servers.mjs";

const WRONG = "not the right one";
/** Maximum number of logins of the victim, and of another user, during an attack. */
const MAX_LOGINS = 20;
/** Time for the log to arrive after the responses, in milliseconds. */
const LOG_MILLIS = 10_000;

/**
 * The attacks. Each makes `count` requests, a tenth of that in a quick run, at most `atOnce` of them at once, in a number of
 * `rounds`, each with another victim. The victim logs in from a known device, and another user from an unknown one.
 */
const ATTACKS = [
  { name: "nobody", count: 0, atOnce: 1 },
  {
    name: "one source guesses 10,000 passwords of one account",
    count: 10_000,
    atOnce: 4,
    guess: (victim) => [{ email: victim.email }, "203.0.113.1"],
  },
  {
    name: "1,000 sources guess one password each, at once",
    count: 1_000,
    atOnce: 1_000,
    rounds: 3,
    guess: (victim, number) => [{ email: victim.email }, source(number)],
  },
  {
    name: "one source guesses a password of 1,000 names, at once",
    count: 1_000,
    atOnce: 1_000,
    rounds: 3,
    guess: (_, number) => [{ email: `sprayed-${number}@example.org` }, "203.0.113.1"],
  },
  {
    name: "an attacker keeps asking while the victim waits",
    count: 2_000,
    atOnce: 1,
    isVictimWaiting: true,
    guess: (victim) => [{ email: victim.email }, "203.0.113.1"],
  },
  {
    name: "256 sources fill the hashing queue with unknown names",
    count: 256,
    atOnce: 256,
    rounds: 3,
    guess: (_, number) => [{ email: `unknown-${number}@example.org` }, source(number)],
  },
];

/** Measures all attacks, and prints two tables. */
export async function abuse({ quick }) {
  const costs = [];
  const hear = (line) => {
    const { event, status, ...cost } = line.startsWith("{") ? JSON.parse(line) : {};
    if (event === "costs" && status !== undefined) costs.push(cost);
  };
  const server = await portcullis({ vars: { LOG: "costs", MAIL: "log" }, hear });
  try {
    const results = [];
    for (const { count, rounds = 1, ...attack } of ATTACKS) {
      console.error(`bench: ${attack.name}`);
      const measured = [];
      for (let round = 0; round < (quick ? 1 : rounds); round += 1)
        measured.push(await measureAttack(server, { ...attack, count: count / (quick ? 10 : 1) }, costs));
      results.push({ name: attack.name, ...measured.reduce(together) });
    }
    console.error("bench: unknown, known and malformed names");
    const names = await measureNames(server, quick ? 20 : 200);
    console.log(`\n${abuseTable(results)}\n\n${namesTable(names)}`);
  } finally {
    await server.close();
  }
}

let users = 0;
async function register(server) {
  const user = { email: `somebody-${++users}@example.org`, password: PASSWORD };
  const { device_token } = await server.expect(201, "POST", "/register", { json: user });
  return { ...user, device_token };
}

async function measureAttack(server, { count, atOnce, guess, isVictimWaiting = false }, costs) {
  const [victim, other] = [await register(server), await register(server)];
  await forget(server);
  if (isVictimWaiting) {
    await login(server, { email: victim.email, password: WRONG }, "203.0.113.1");
    const database = await server.database();
    await database.prepare("UPDATE throttles SET steps = 14, failures = 50, until = last_at + 900").run();
  }
  await logged(costs, 2);
  costs.length = 0;
  let isOver = false;
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const one = (number) => {
    const [names, from] = guess(victim, number);
    return login(server, { ...names, password: WRONG }, from, agent);
  };
  const attacking = limited(count, atOnce, one);
  attacking.finally(() => {
    isOver = true;
  });
  const [known, unknown] = [[], []];
  // Without an attack, as many logins as possible are measured.
  while (known.length < MAX_LOGINS && (!isOver || count === 0 || known.length === 0)) {
    known.push(await login(server, victim, "192.0.2.1"));
    unknown.push(await login(server, { email: other.email, password: PASSWORD }, "192.0.2.2"));
  }
  const answers = await attacking;
  agent.destroy();
  await logged(costs, answers.length + 2 * known.length);
  const sum = (member) => costs.reduce((total, cost) => total + cost[member], 0);
  return {
    answers: answers.map(kind),
    known: known.map(timed),
    unknown: unknown.map(timed),
    read: sum("d1_rows_read"),
    written: sum("d1_rows_written"),
    puts: sum("kv_puts"),
    memoryKib: Math.max(...costs.map(({ memory_kib }) => memory_kib)),
  };
}

/** The results of two rounds. */
const together = (one, other) => ({
  answers: one.answers.concat(other.answers),
  known: one.known.concat(other.known),
  unknown: one.unknown.concat(other.unknown),
  read: one.read + other.read,
  written: one.written + other.written,
  puts: one.puts + other.puts,
  memoryKib: Math.max(one.memoryKib, other.memoryKib),
});

const kind = ({ status, text }) => (status >= 400 ? `${status} ${JSON.parse(text).code}` : String(status || "none"));
const timed = (answer) => ({ kind: kind(answer), millis: answer.millis });

/** Runs `act` for each number, a limited number at once. */
async function limited(count, atOnce, act) {
  const answers = [];
  let begun = 0;
  const worker = async () => {
    while (begun < count) answers.push(await act(begun++));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}

/** Waits until the log has the costs of that many requests. */
async function logged(costs, count) {
  const end = Date.now() + LOG_MILLIS;
  while (costs.length < count && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
}

const forget = async (server) => (await server.database()).prepare("DELETE FROM throttles").run();

/** The latencies of wrong logins by the kind of name, before the first wait and during a wait, and of requests for a new password. */
async function measureNames(server, rounds) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { email } = await register(server);
  const names = { known: email, unknown: "nobody@example.org", malformed: "nobody" };
  const results = Object.keys(names).map((name) => ({ name, judged: [], waiting: [], forgotten: [] }));
  const measure = async (status, member) => {
    for (const result of results) {
      const json = { email: names[result.name], password: WRONG };
      const answer = await login(server, json, "203.0.113.1", agent);
      if (answer.status !== status) throw new Error(`${result.name}: ${answer.status} instead of ${status}`);
      result[member].push(answer.millis);
    }
    // Each kind comes first equally often.
    results.push(results.shift());
  };
  for (let round = 0; round < rounds; round += 1) {
    // Four failures are free of a wait.
    if (round % 4 === 0) await forget(server);
    await measure(401, "judged");
  }
  const database = await server.database();
  await database.prepare("UPDATE throttles SET until = last_at + 900").run();
  for (let round = 0; round < rounds; round += 1) await measure(429, "waiting");
  for (let round = 0; round < rounds; round += 1) {
    // Otherwise the limits of mails would make later requests cheaper.
    await database.batch(["challenges", "mail_budgets"].map((table) => database.prepare(`DELETE FROM ${table}`)));
    // Each comes first equally often.
    for (const name of round % 2 ? ["known", "unknown"] : ["unknown", "known"]) {
      const { millis } = await post(server, "/password/forgot", { email: names[name] }, "203.0.113.1", agent);
      results.find((result) => result.name === name).forgotten.push(millis);
      // The mail is sent after the response, and must not delay the next request.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  agent.destroy();
  return results.toSorted((one, other) => one.name.localeCompare(other.name));
}

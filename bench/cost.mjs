// Computes the cost per month in dollars from the counted costs of operations and Cloudflare's prices. bench/scale.mjs
// verifies COUNTED. docs/performance/scale.md contains the tables; a test compares them.
//
//   node bench/cost.mjs    prints the tables

import { runIfStarted } from "../scripts/lib.mjs";

/**
 * Costs per operation: D1 round trips, rows read, rows written, KV reads, KV writes. The names are those of
 * bench/scale.mjs. The login is that of a user with two sessions, each of which is a row to read.
 */
export const COUNTED = {
  register: [2, 3, 4, 0, 0],
  login: [2, 11, 2, 0, 0],
  "login, wrong password": [2, 9, 2, 0, 0],
  refresh: [1, 4, 1, 0, 0],
  revoke: [1, 4, 3, 0, 1],
  verify: [0, 0, 0, 1, 0],
  me: [1, 2, 0, 0, 0],
};

/** The same for work that an operation does after its response. */
export const AFTER_RESPONSE = { revoke: [1, 4, 1, 0, 0] };

/** CPU time per request in ms, with and without an Argon2id hash at the default parameters. */
const CPU_MS = { hashing: 20, other: 1 };
const HASHING = ["register", "login", "login, wrong password"];

/** Bytes in D1 per user, session and event, including index entries, as measured by bench/scale.mjs. */
export const BYTES = { user: 540, session: 589, event: 365 };
const DATABASE_BYTES = 10e9;
/** Months for which events of failed logins are kept. */
const TRAIL_MONTHS = 3;

/** The assumed usage. An access token lives 900 s, so a session in use is refreshed four times per hour. */
export const HABITS = {
  daysPerMonth: 30,
  /** Fraction of users who are active per day; their devices, and hours of use per device. */
  activePerDay: 0.2,
  devices: 1.5,
  hours: 1.5,
  refreshesPerHour: 4,
  /** Per active user and day: calls of /verify by gateways, and calls of /me. */
  verifies: 20,
  meRequests: 2,
  /** Per user and month. */
  logins: 0.6,
  failedLogins: 0.1,
  logouts: 0.2,
  registrations: 0.02,
  /** Ratio of the busiest second of the year to the average one. */
  peak: 4,
  /** Months for which the row of a session is kept: at most one until it ends, then three of the audit trail. */
  monthsKept: 4,
};

/** Documented prices in dollars per unit beyond what the paid plan of 5 dollars includes. Storage is per GB. */
const PRICES = {
  requests: { included: 10e6, each: 0.3 / 1e6 },
  cpuMs: { included: 30e6, each: 0.02 / 1e6 },
  rowsRead: { included: 25e9, each: 0.001 / 1e6 },
  rowsWritten: { included: 50e6, each: 1 / 1e6 },
  gigabytes: { included: 5, each: 0.75 },
  kvReads: { included: 10e6, each: 0.5 / 1e6 },
  kvWrites: { included: 1e6, each: 5 / 1e6 },
};
const PLAN = 5;

/** The operations, resources and cost per month for a number of users. */
export function month(users, habits = HABITS) {
  const { daysPerMonth, activePerDay, devices, hours, refreshesPerHour } = habits;
  const activeDays = users * activePerDay * daysPerMonth;
  const times = {
    register: users * habits.registrations,
    login: users * habits.logins,
    "login, wrong password": users * habits.failedLogins,
    refresh: activeDays * devices * hours * refreshesPerHour,
    revoke: users * habits.logouts,
    verify: activeDays * habits.verifies,
    me: activeDays * habits.meRequests,
  };
  const sum = (each) => Object.entries(times).reduce((total, [name, count]) => total + count * each(name), 0);
  const counted = (place) => sum((name) => COUNTED[name][place] + (AFTER_RESPONSE[name]?.[place] ?? 0));
  const begun = times.login + times.register;
  const sessions = begun * habits.monthsKept;
  // Cleanup reads every row twice per day. A deleted row counts as one row written.
  const cleaned = { read: sessions * 2 * daysPerMonth, written: begun };
  const used = {
    requests: sum(() => 1),
    cpuMs: sum((name) => (HASHING.includes(name) ? CPU_MS.hashing : CPU_MS.other)),
    rowsRead: counted(1) + cleaned.read,
    rowsWritten: counted(2) + cleaned.written,
    gigabytes:
      (users * BYTES.user + sessions * BYTES.session + times["login, wrong password"] * TRAIL_MONTHS * BYTES.event) /
      1e9,
    kvReads: counted(3),
    kvWrites: counted(4),
  };
  const dollars = Object.fromEntries(
    Object.entries(PRICES).map(([name, { included, each }]) => [name, Math.max(0, used[name] - included) * each]),
  );
  const total = PLAN + Object.values(dollars).reduce((one, other) => one + other);
  const refreshesPerSecond = times.refresh / (daysPerMonth * 86_400);
  const databases = Math.ceil((used.gigabytes * 1e9) / DATABASE_BYTES);
  return { users, times, used, dollars, total, sessions, refreshesPerSecond, databases };
}

/** The tables of docs/performance/scale.md as Markdown: the resources and the cost per month. */
export function costTables() {
  const months = [10e3, 1e6, 100e6].map((users) => month(users));
  const used = months.map(({ users, used, refreshesPerSecond, databases }) => [
    ...[
      short(users),
      short(used.requests),
      short(used.cpuMs / 1000),
      short(used.rowsRead),
      short(used.rowsWritten),
      short(used.kvReads),
      short(used.kvWrites),
    ],
    ...[
      `${short(used.gigabytes)} GB`,
      String(databases),
      `${short(refreshesPerSecond)}, ${short(refreshesPerSecond * HABITS.peak)}`,
    ],
  ]);
  const paid = months.map(({ users, dollars, total }) => [
    ...[short(users), "$5"],
    ...[
      dollars.requests,
      dollars.cpuMs,
      dollars.rowsRead,
      dollars.rowsWritten,
      dollars.gigabytes,
      dollars.kvReads,
      dollars.kvWrites,
    ].map(money),
    ...[`**${money(total)}**`, `$${(total / (users / 1000)).toFixed(2)}`],
  ]);
  return [
    table(
      [
        "users",
        "requests",
        "CPU s",
        "rows read",
        "rows written",
        "KV reads",
        "KV writes",
        "in D1",
        "databases",
        "refreshes a second, at the peak",
      ],
      used,
    ),
    table(
      [
        "users",
        "plan",
        "requests",
        "CPU",
        "rows read",
        "rows written",
        "storage",
        "KV reads",
        "KV writes",
        "a month",
        "1,000 users",
      ],
      paid,
    ),
  ].join("\n\n");
}

const table = (head, rows) => [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
const money = (dollars) =>
  `$${dollars === 0 || dollars >= 10 ? Math.round(dollars).toLocaleString("en") : dollars.toFixed(2)}`;

/** A number with two or three digits and a unit. */
function short(number) {
  const units = [
    [1e12, " T"],
    [1e9, " bn"],
    [1e6, " M"],
    [1e3, " k"],
  ];
  const [size, unit] = units.find(([size]) => number >= size) ?? [1, ""];
  const scaled = number / size;
  return `${scaled >= 10 || Number.isInteger(scaled) ? Math.round(scaled) : scaled.toPrecision(2)}${unit}`;
}

runIfStarted(import.meta.url, () => console.log(costTables()));

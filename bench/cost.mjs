// What Portcullis costs a month, in dollars, from what its operations were counted to cost (bench/scale.mjs compares COUNTED
// with what it counts) and from Cloudflare's prices. docs/performance/scale.md shows the table; a test compares the two.
//
//   node bench/cost.mjs    prints the tables

import { runIfStarted } from "../scripts/lib.mjs";

/**
 * Of one operation: round trips to D1, rows read, rows written, KV reads, KV writes. Named as in bench/scale.mjs. The log-in is
 * that of somebody with two sessions, as each is a row to read.
 */
export const COUNTED = {
  register: [2, 3, 4, 0, 0],
  login: [2, 11, 2, 0, 0],
  "login, wrong password": [2, 2, 1, 0, 0],
  refresh: [1, 4, 1, 0, 0],
  revoke: [1, 4, 3, 0, 1],
  verify: [0, 0, 0, 1, 0],
  me: [1, 2, 0, 0, 0],
};

/** Likewise, of what an operation does behind its answer. */
export const BEHIND = { revoke: [1, 4, 1, 0, 0] };

/** CPU of a request in ms: with an Argon2id at the default parameters, and without. */
const CPU_MS = { hashing: 20, other: 1 };
const HASHING = ["register", "login", "login, wrong password"];

/** Bytes in D1, index entries included, of a user, a session and an event, as bench/scale.mjs found them. */
export const BYTES = { user: 540, session: 589, event: 365 };
const DATABASE_BYTES = 10e9;
/** Entries of failed log-ins stay as long as the audit trail. */
const TRAIL_MONTHS = 3;

/** How much a user does. An access token lives 900 s, so a session in use is refreshed four times an hour. */
export const HABITS = {
  daysAMonth: 30,
  /** Share of all users who come on a day, on so many devices each, for so many hours on each. */
  activeADay: 0.2,
  devices: 1.5,
  hours: 1.5,
  refreshesAnHour: 4,
  /** Of an active person a day: tokens that gateways have checked here, and looks at the own account. */
  verifies: 20,
  looks: 2,
  /** Of each user a month. */
  logins: 0.6,
  failedLogins: 0.1,
  logouts: 0.2,
  registrations: 0.02,
  /** Of the year's busiest second, beside the average one. */
  peak: 4,
  /** For so many months the row of a session stays: one in force or idle at most, three of the audit trail. */
  monthsKept: 4,
};

/** Dollars beyond what the paid plan's 5 dollars include, each for a million but the storage. As documented. */
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

/** A month with so many users: what is done, what that uses, and what it costs. */
export function month(users, habits = HABITS) {
  const { daysAMonth, activeADay, devices, hours, refreshesAnHour } = habits;
  const personDays = users * activeADay * daysAMonth;
  const times = {
    register: users * habits.registrations,
    login: users * habits.logins,
    "login, wrong password": users * habits.failedLogins,
    refresh: personDays * devices * hours * refreshesAnHour,
    revoke: users * habits.logouts,
    verify: personDays * habits.verifies,
    me: personDays * habits.looks,
  };
  const sum = (of) => Object.entries(times).reduce((total, [name, count]) => total + count * of(name), 0);
  const counted = (place) => sum((name) => COUNTED[name][place] + (BEHIND[name]?.[place] ?? 0));
  const begun = times.login + times.register;
  const sessions = begun * habits.monthsKept;
  // A walk reads every row twice a day; a row that goes is counted as one written.
  const cleaned = { read: sessions * 2 * daysAMonth, written: begun };
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
  const refreshesASecond = times.refresh / (daysAMonth * 86_400);
  const databases = Math.ceil((used.gigabytes * 1e9) / DATABASE_BYTES);
  return { users, times, used, dollars, total, sessions, refreshesASecond, databases };
}

/** The tables of docs/performance/scale.md, as Markdown: what a month uses, and what it costs. */
export function costTables() {
  const months = [10e3, 1e6, 100e6].map((users) => month(users));
  const used = months.map(({ users, used, refreshesASecond, databases }) => [
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
      `${short(refreshesASecond)}, ${short(refreshesASecond * HABITS.peak)}`,
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

/** A number with two digits or three, as people say it. */
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

// Generates test data for a local D1: users, sessions and audit events as the Worker creates them, with sessions in
// every state. Writes directly to D1's SQLite file, which must have the schema and which no Worker may have open.
//
// The same seed and numbers give the same users, sessions and states; times are relative to `now`. Ids are random as in
// the Worker, so that rows are spread over the B-trees and the file is as large as one that grew by logins.
// Memory is limited to 16 bytes per user, one batch, and SQLite's cache.
//
//   sessions   state
//   20 %       half expired, half ended before the retention period of the trail. Cleanup deletes these
//   30 %       active
//   30 %       expired within the retention period
//   20 %       ended within it: two thirds by logout, the rest for the other reasons
//
// Sessions are distributed unevenly: of 1,000,000 users with five sessions on average, some have none and the most
// active ones about five hundred. A third of the users have a username, two thirds a name, one percent are disabled,
// and the first five are admins. There are half as many events as users; cleanup deletes a tenth of them. The password
// of all users is PASSWORD, with one real Argon2id hash at the default parameters.

import { argon2Sync, createCipheriv, createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";

export const PASSWORD = "correct horse battery staple";
export const ADMINS = 5;
const DAY = 86_400;
/** Defaults of the Worker that determine the times of sessions, in seconds. */
const [IDLE, ABSOLUTE, ACCESS, KEPT] = [7 * DAY, 30 * DAY, 900, 90 * DAY];
const BATCH = 10_000;

const FIRST = [
  "ada",
  "alan",
  "barbara",
  "claude",
  "donald",
  "edsger",
  "frances",
  "grace",
  "hedy",
  "john",
  "katherine",
  "leslie",
  "margaret",
  "radia",
  "sophie",
  "tim",
];
const LAST = [
  "lovelace",
  "turing",
  "liskov",
  "shannon",
  "knuth",
  "dijkstra",
  "allen",
  "hopper",
  "lamarr",
  "backus",
  "johnson",
  "lamport",
  "hamilton",
  "perlman",
  "wilson",
];
const HOSTS = ["example.org", "mail.example.com", "example.net", "students.example.edu"];
const AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Example/4.2.1 (org.example.app; build:1204; iOS 19.1.0) Alamofire/5.10.2",
];
const REASONS = [
  "logout",
  "logout",
  "logout",
  "logout",
  "ended_by_user",
  "logout_all",
  "password_changed",
  "reuse",
  "logout",
  "logout",
  "ended_by_admin",
  "logout",
];

/** The e-mail address of a user by number; the first ADMINS users are admins. */
export const addressOf = (user) => `${FIRST[user % 16]}.${LAST[user % 15]}.${user}@${HOSTS[user % 4]}`;
/** The username of a user by number, or null. */
export const usernameOf = (user) => (user % 3 === 0 ? `${FIRST[user % 16]}_${LAST[user % 15]}_${user}` : null);

/**
 * Fills the tables of a D1 file that has the schema but no users. Calls `progress(done, all)` after each batch of rows.
 * Returns the number of rows per table, and the number of sessions that cleanup should delete.
 */
export function populate(
  file,
  { users, sessions, seed = 1, now = Math.floor(Date.now() / 1000), progress = () => {} },
) {
  // All referenced users exist, and checking foreign keys would double the reads.
  const sqlite = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  const events = Math.floor(users / 2);
  const all = users + sessions + events;
  let done = 0;
  try {
    // No journal is needed, because an interrupted file is discarded.
    sqlite.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000");
    const insert = (table, columns, count, row) => {
      const names = columns.join(", ");
      const statement = sqlite.prepare(`INSERT INTO ${table} (${names}) VALUES (${columns.map(() => "?").join(", ")})`);
      for (let from = 0; from < count; from += BATCH) {
        const upto = Math.min(from + BATCH, count);
        sqlite.exec("BEGIN");
        for (let index = from; index < upto; index += 1) statement.run(...row(index));
        sqlite.exec("COMMIT");
        done += upto - from;
        progress(done, all);
      }
    };
    const ids = new Random(seed, "users").bytes(users * 16);
    const idOf = (user) => ids.base64urlSlice(user * 16, user * 16 + 16);
    const slotOf = (user) => ids.readUInt16BE(user * 16) >> 4;
    insert("users", USER_COLUMNS, users, userRows(idOf, slotOf, new Random(seed, "user"), now));
    insert(
      "refresh_tokens",
      SESSION_COLUMNS,
      sessions,
      sessionRows(idOf, slotOf, users, new Random(seed, "session"), now),
    );
    insert("audit_events", EVENT_COLUMNS, events, eventRows(idOf, users, new Random(seed, "event"), now));
    sqlite.exec("PRAGMA journal_mode = WAL");
  } finally {
    sqlite.close();
  }
  return { users, sessions, events, due: Math.floor(sessions / 10) * 2 + Math.min(sessions % 10, 2) };
}

/** The bytes per table and index, and of the whole file. */
export function sizes(file) {
  const sqlite = new DatabaseSync(file, { readOnly: true });
  try {
    const parts = sqlite
      .prepare("SELECT name, SUM(pgsize) AS bytes FROM dbstat GROUP BY name ORDER BY bytes DESC")
      .all();
    const [{ total }] = sqlite
      .prepare("SELECT page_count * page_size AS total FROM pragma_page_count, pragma_page_size")
      .all();
    return { total, parts: Object.fromEntries(parts.map(({ name, bytes }) => [name, bytes])) };
  } finally {
    sqlite.close();
  }
}

const USER_COLUMNS = [
  "id",
  "email",
  "email_key",
  "username",
  "username_key",
  "name",
  "password_hash",
  "credentials_version",
  "roles",
  "created_at",
  "disabled_at",
  "created_ip",
  "created_user_agent",
  "slot",
];

function userRows(idOf, slotOf, random, now) {
  const nonce = createHash("sha256").update("the one salt").digest().subarray(0, 16);
  const tag = argon2Sync("argon2id", {
    message: PASSWORD,
    nonce,
    memory: 19_456,
    passes: 2,
    parallelism: 1,
    tagLength: 32,
  });
  const [salt, hash] = [nonce, tag].map((bytes) => bytes.toString("base64").replace(/=+$/, ""));
  const phc = `$argon2id$v=19$m=19456,t=2,p=1$${salt}$${hash}`;
  return (user) => {
    const [address, username] = [addressOf(user), usernameOf(user)];
    const name = user % 3 === 1 ? null : `${FIRST[user % 16]} ${LAST[user % 15]}`;
    const roles = user < ADMINS ? '["user","admin"]' : '["user"]';
    const created = now - random.below(3 * 365 * DAY) - KEPT;
    const disabled = user % 100 === 99 ? now - random.below(DAY) : null;
    return [
      idOf(user),
      address,
      address,
      username,
      username,
      name,
      phc,
      0,
      roles,
      created,
      disabled,
      random.address(),
      random.of(AGENTS),
      slotOf(user),
    ];
  };
}

const SESSION_COLUMNS = [
  ...[
    "session_id",
    "user_id",
    "secret_hash",
    "generation",
    "grace_retries",
    "created_at",
    "created_ip",
    "created_user_agent",
  ],
  ...["rotated_at", "rotated_ip", "rotated_user_agent", "expires_at", "absolute_expires_at", "access_expires_at"],
  ...["revoked_at", "revoked_ip", "revoked_user_agent", "revoked_reason", "amr", "authenticated_at"],
];

function sessionRows(idOf, slotOf, users, random, now) {
  return (session) => {
    const state = session % 10;
    const [isEnded, isDue] = [[1, 8, 9].includes(state), state < 2];
    // Last use: active sessions within the idle lifetime, the others before their end.
    const end = isDue ? now - KEPT - 3600 - random.below(30 * DAY) : now - 3600 - random.below(KEPT - DAY);
    const isActive = state >= 2 && state < 5;
    const rotated = isActive ? now - random.below(IDLE - DAY) : isEnded ? end - random.below(DAY) : end - IDLE;
    const created = rotated - random.below(ABSOLUTE - IDLE);
    const user = Math.floor(users * random.fraction() ** 1.5);
    const [agent, address] = [random.of(AGENTS), random.address()];
    const ended = isEnded ? [end, address, agent, random.of(REASONS)] : [null, null, null, null];
    return [
      ...[random.idIn(slotOf(user)), idOf(user), random.bytes(32).base64urlSlice(), random.below(300), 0],
      ...[
        created,
        random.address(),
        agent,
        rotated,
        address,
        agent,
        rotated + IDLE,
        created + ABSOLUTE,
        rotated + ACCESS,
      ],
      ...ended,
      ...["pwd", created],
    ];
  };
}

const EVENT_COLUMNS = [
  "user_id",
  "at",
  "id",
  "kind",
  "count",
  "last_at",
  "actor_id",
  "session_id",
  "ip",
  "user_agent",
  "other_ip",
  "other_user_agent",
  "detail",
];

function eventRows(idOf, users, random, now) {
  return (event) => {
    const time =
      event % 10 === 0 ? now - KEPT - 2 * 3600 - random.below(30 * DAY) : now - 3600 - random.below(KEPT - DAY);
    const user = idOf(random.below(users));
    const [agent, address] = [random.of(AGENTS), random.address()];
    const kind = ["login_failed", "profile_changed", "password_changed", "sessions_ended"][event % 4];
    // Counted events have one row per hour, with the start of the hour as time.
    const isCounted = event % 4 < 2;
    const at = isCounted ? time - (time % 3600) : time;
    const id = isCounted ? `${kind}-${event}` : `${String(random.below(1000)).padStart(3, "0")}.${random.id()}`;
    const [other, otherAgent] = kind === "login_failed" ? [address, agent] : [null, null];
    return [user, at, id, kind, 1, time, null, isCounted ? null : random.id(), address, agent, other, otherAgent, null];
  };
}

/** A seeded random number generator by AES in counter mode, which is the fastest in Node. */
class Random {
  constructor(seed, name) {
    const key = createHash("sha256").update(`portcullis population ${seed} ${name}`).digest().subarray(0, 16);
    this.cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
    this.stream = Buffer.alloc(0);
    this.at = 0;
  }

  bytes(count) {
    if (this.at + count > this.stream.length) {
      this.stream = this.cipher.update(Buffer.alloc(Math.max(count, 1 << 20)));
      this.at = 0;
    }
    const start = this.at;
    this.at += count;
    return this.stream.subarray(start, this.at);
  }

  id() {
    return this.bytes(16).base64urlSlice();
  }

  /** A random id that begins with a slot. */
  idIn(slot) {
    const bytes = Buffer.from(this.bytes(16));
    bytes.writeUInt16BE((slot << 4) | (bytes[1] & 0x0f));
    return bytes.base64urlSlice();
  }

  fraction() {
    return this.bytes(6).readUIntBE(0, 6) / 2 ** 48;
  }

  below(limit) {
    return Math.floor(this.fraction() * limit);
  }

  of(list) {
    return list[this.below(list.length)];
  }

  /** An address from the ranges for documentation: IPv4 in two thirds of the cases, otherwise IPv6. */
  address() {
    const [kind, a, b, c, d] = this.bytes(5);
    if (kind % 3 > 0) return `${["192.0.2", "198.51.100", "203.0.113"][a % 3]}.${b}`;
    const part = (high, low) => ((high << 8) | low).toString(16);
    return `2001:db8:${part(a, b)}:${part(c, d)}:${part(b, c)}:${part(d, a)}:${part(c, a)}:${part(d, b)}`;
  }
}

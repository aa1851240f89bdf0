// A population for a local D1: users, sessions and audit events as the Worker would have made them, in every state a session
// can be in. It goes straight into D1's SQLite file, which no Worker may have open meanwhile, through the tables and indexes
// that the migrations made.
//
// The same seed and numbers give the same people, sessions and states; their times hang on `now`. Ids are random, so rows fall
// all over the B-trees, as the Worker's do: the file is as large as one that grew by log-ins, not as dense as a sorted load.
// Memory is bounded: 16 bytes a user, a batch, and SQLite's cache.
//
//   sessions   state
//   20 %       over longer than the trail is kept: half expired, half ended. What the cleanup is to delete
//   30 %       in force
//   30 %       expired within the time the trail is kept
//   20 %       ended within it: two thirds logged out, the rest for the other reasons
//
// Their owners are drawn so that people differ: the 1,000,000 have five sessions each on average, some none, the busiest some
// five hundred. A third of the users have a username, two thirds a name, one in a hundred is shut out, the first five are
// admins. Half as many events as users, a tenth of them to be deleted. Everybody's password is PASSWORD, under one real Argon2id
// hash of the default parameters.

import { argon2Sync, createCipheriv, createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";

export const PASSWORD = "correct horse battery staple";
export const ADMINS = 5;
const DAY = 86_400;
/** Defaults of the Worker, in seconds: what the times of sessions are made of. */
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

/** The address of the user of that number; the first ADMINS are admins. */
export const addressOf = (user) => `${FIRST[user % 16]}.${LAST[user % 15]}.${user}@${HOSTS[user % 4]}`;
/** The username of the user of that number, if it has one. */
export const usernameOf = (user) => (user % 3 === 0 ? `${FIRST[user % 16]}_${LAST[user % 15]}_${user}` : null);

/**
 * Fills the tables of a D1 file that has the schema and nobody in it. `progress(done, all)` is called as rows go in.
 * Gives how many rows there are, and how many sessions the cleanup is to take.
 */
export function populate(
  file,
  { users, sessions, seed = 1, now = Math.floor(Date.now() / 1000), progress = () => {} },
) {
  // What sessions point at is there, and checking it would read as much again.
  const sqlite = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  const events = Math.floor(users / 2);
  const all = users + sessions + events;
  let done = 0;
  try {
    // A fill that breaks off is thrown away, so nothing is journalled.
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
    const ids = new Draws(seed, "users").bytes(users * 16);
    const idOf = (user) => ids.base64urlSlice(user * 16, user * 16 + 16);
    const slotOf = (user) => ids.readUInt16BE(user * 16) >> 4;
    insert("users", USER_COLUMNS, users, userRows(idOf, slotOf, new Draws(seed, "user"), now));
    insert(
      "refresh_tokens",
      SESSION_COLUMNS,
      sessions,
      sessionRows(idOf, slotOf, users, new Draws(seed, "session"), now),
    );
    insert("audit_events", EVENT_COLUMNS, events, eventRows(idOf, users, new Draws(seed, "event"), now));
    sqlite.exec("PRAGMA journal_mode = WAL");
  } finally {
    sqlite.close();
  }
  return { users, sessions, events, due: Math.floor(sessions / 10) * 2 + Math.min(sessions % 10, 2) };
}

/** Bytes of the file by table or index, and of all of it. */
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

function userRows(idOf, slotOf, draws, now) {
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
    const created = now - draws.below(3 * 365 * DAY) - KEPT;
    const disabled = user % 100 === 99 ? now - draws.below(DAY) : null;
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
      draws.address(),
      draws.of(AGENTS),
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

function sessionRows(idOf, slotOf, users, draws, now) {
  return (session) => {
    const state = session % 10;
    const [isEnded, isDue] = [[1, 8, 9].includes(state), state < 2];
    // When it was used last: in force for less than the idle lifetime, the others before they were over.
    const over = isDue ? now - KEPT - 3600 - draws.below(30 * DAY) : now - 3600 - draws.below(KEPT - DAY);
    const inForce = state >= 2 && state < 5;
    const rotated = inForce ? now - draws.below(IDLE - DAY) : isEnded ? over - draws.below(DAY) : over - IDLE;
    const created = rotated - draws.below(ABSOLUTE - IDLE);
    const user = Math.floor(users * draws.fraction() ** 1.5);
    const [agent, address] = [draws.of(AGENTS), draws.address()];
    const ended = isEnded ? [over, address, agent, draws.of(REASONS)] : [null, null, null, null];
    return [
      ...[draws.idIn(slotOf(user)), idOf(user), draws.bytes(32).base64urlSlice(), draws.below(300), 0],
      ...[
        created,
        draws.address(),
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

function eventRows(idOf, users, draws, now) {
  return (event) => {
    const time =
      event % 10 === 0 ? now - KEPT - 2 * 3600 - draws.below(30 * DAY) : now - 3600 - draws.below(KEPT - DAY);
    const user = idOf(draws.below(users));
    const [agent, address] = [draws.of(AGENTS), draws.address()];
    const kind = ["login_failed", "profile_changed", "password_changed", "sessions_ended"][event % 4];
    // Of those that are counted there is one an hour, under the start of it.
    const isCounted = event % 4 < 2;
    const at = isCounted ? time - (time % 3600) : time;
    const id = isCounted ? `${kind}-${event}` : `${String(draws.below(1000)).padStart(3, "0")}.${draws.id()}`;
    const [other, otherAgent] = kind === "login_failed" ? [address, agent] : [null, null];
    return [user, at, id, kind, 1, time, null, isCounted ? null : draws.id(), address, agent, other, otherAgent, null];
  };
}

/** Draws that a seed determines: a stream of AES in counter mode, as fast as node has one. */
class Draws {
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

  /** An id that begins with a slot. */
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

  /** Two addresses in three are of IPv4, the others of IPv6, from the ranges for documentation. */
  address() {
    const [kind, a, b, c, d] = this.bytes(5);
    if (kind % 3 > 0) return `${["192.0.2", "198.51.100", "203.0.113"][a % 3]}.${b}`;
    const part = (high, low) => ((high << 8) | low).toString(16);
    return `2001:db8:${part(a, b)}:${part(c, d)}:${part(b, c)}:${part(d, a)}:${part(c, a)}:${part(d, b)}`;
  }
}

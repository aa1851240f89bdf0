// D1 and KV of a running Worker, for a test to read and change, with the methods of the bindings. Calls go through the
// wrapper, because the proxies of miniflare take several times as long.

/** A D1 database. `send` makes the wrapper run statements in one batch, and returns their results. */
export class Database {
  #send;

  constructor(send) {
    this.#send = send;
  }

  prepare(sql) {
    return new Statement((statements) => this.#send(statements), sql, []);
  }

  batch(statements) {
    return this.#send(statements.map(({ sql, values }) => ({ sql, values })));
  }
}

class Statement {
  #send;

  constructor(send, sql, values) {
    Object.assign(this, { sql, values });
    this.#send = send;
  }

  bind(...values) {
    return new Statement(this.#send, this.sql, values);
  }

  async all() {
    const [result] = await this.#send([{ sql: this.sql, values: this.values }]);
    return result;
  }

  run() {
    return this.all();
  }

  /** The first row, or a column of it; `null` if there is none. */
  async first(column) {
    const [row = null] = (await this.all()).results;
    return row === null || column === undefined ? row : row[column];
  }
}

/**
 * A KV namespace with the methods that take and return JSON, and `deleteAll` with a list of keys. `call` makes the wrapper call one of
 * them.
 */
export function namespace(call) {
  const method = (name) => [name, (...values) => call(name, values)];
  return Object.fromEntries(["get", "put", "list", "delete", "deleteAll"].map(method));
}

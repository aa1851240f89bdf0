// D1 and KV of a running Worker, as its bindings give them, for a test to look into and to change. By way of the wrapper: the
// proxies of miniflare take several times as long.

/** A D1 database. `send` has statements run by the wrapper, in one batch, and gives their results. */
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

/** A KV namespace, by the methods that take and give JSON. `call` has the wrapper call one of them. */
export function namespace(call) {
  const method = (name) => [name, (...values) => call(name, values)];
  return Object.fromEntries(["get", "put", "list", "delete"].map(method));
}

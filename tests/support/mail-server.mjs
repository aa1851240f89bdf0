// A server on loopback that takes mails, as an API or as a webhook, and whose answers a test chooses.

import { createServer } from "node:http";

/**
 * Starts the server. `answer` is the response to the next requests: a status, headers and a body; "never"; or "cut", which
 * ends the connection once the request has arrived. `answers` has responses for the next requests, one each. `most` is the
 * largest number of requests that waited at the same time.
 */
export async function startMailServer() {
  const api = { asked: [], answer: { status: 200 }, answers: [], most: 0, hold: undefined };
  let waiting = 0;
  const server = createServer((request, response) => {
    const { method, url, headers, rawHeaders } = request;
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk) => (text += chunk));
    request.on("end", async () => {
      api.asked.push({ method, url, headers, rawHeaders, text, body: JSON.parse(text) });
      waiting += 1;
      api.most = Math.max(api.most, waiting);
      const answer = api.answers.shift() ?? api.answer;
      const {
        status,
        headers: more,
        body,
        unfinished,
      } = typeof answer === "function" ? answer(JSON.parse(text)) : answer;
      await api.hold?.();
      waiting -= 1;
      if (answer === "never") return;
      if (answer === "cut") return request.socket.destroy();
      response.writeHead(status, { "Content-Type": "application/json", ...more });
      if (unfinished) response.write(body);
      else response.end(body ?? '{"id":"accepted"}');
    });
  });
  await new Promise((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  api.url = `http://127.0.0.1:${server.address().port}`;
  api.close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  /** The requests since the last call. */
  api.take = () => api.asked.splice(0);
  /** Answers the next requests as at the beginning. */
  api.reset = () => {
    Object.assign(api, { asked: [], answer: { status: 200 }, answers: [], most: 0, hold: undefined });
  };
  return api;
}

/** The rows of the outbox. */
export async function outbox(worker) {
  return (await worker.db.prepare("SELECT * FROM outbox ORDER BY id").all()).results;
}

/** Makes every mail due now, as if the time until its next attempt had passed. */
export function makeDue(worker) {
  return worker.db.prepare("UPDATE outbox SET claimed_until = 0").run();
}

/** Posts, and waits until all work of the request has ended, that after the response too. */
export async function postAndWait(worker, path, json, { headers, ...options } = {}) {
  const plan = worker.plan({});
  const answer = await worker.post(path, { json, headers: { ...headers, ...plan.headers }, ...options });
  const calls = await plan.untilEnded();
  return { ...answer, calls };
}

/** Runs the scheduled event that sends mails. */
export const runOutbox = (worker, plan) => worker.schedule("* * * * *", plan);

/** The number of events of a kind in the trail of a user. */
export async function countInTrail(worker, { user }, kind) {
  const row = await worker.db
    .prepare("SELECT COALESCE(SUM(count), 0) AS count FROM audit_events WHERE user_id = ? AND kind = ?")
    .bind(user.id, kind)
    .first();
  return row.count;
}

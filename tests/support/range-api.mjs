// A range API of breached passwords on loopback, whose answers a test chooses.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

/** The SHA-1 of a password in hex, as the API splits it. */
export function sha1(password) {
  const digits = createHash("sha1").update(password.normalize("NFC")).digest("hex").toUpperCase();
  return { prefix: digits.slice(0, 5), suffix: digits.slice(5) };
}

/** Rows of other passwords, as the API pads its responses. */
export const padding = (count, times = 0) =>
  Array.from({ length: count }, (_, row) => `${row.toString(16).toUpperCase().padStart(35, "0")}:${times}\r\n`).join(
    "",
  );

/** Starts the API. `asked` has every request; `answer` is the response to the next ones: a status and a body, or "never". */
export async function startRangeApi() {
  const api = { asked: [], answer: { status: 200, body: "" } };
  const server = createServer((request, response) => {
    const { method, url, headers, rawHeaders } = request;
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      api.asked.push({ method, url, headers, rawHeaders, body });
      if (api.answer === "never") return;
      response.writeHead(api.answer.status, { "Content-Type": "text/plain", ...api.answer.headers });
      if (api.answer.unfinished) response.write(api.answer.body);
      else response.end(api.answer.body);
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
  return api;
}

// Shows the API in Swagger UI, and fills its Authorize with the access token of a login. Both tokens stay in the memory of
// this page.

/* global SwaggerUIBundle */

const at = (path) => new URL(`..${path}`, document.baseURI);
const element = (id) => document.getElementById(id);
const [form, account, problem] = ["login", "account", "problem"].map(element);

/** Swagger UI, and the name of the scheme for access tokens in the document. */
let ui, scheme;
/** The token response of the last login or refresh, and the timer of the next refresh. */
let session, timer;

/** An error whose message is for the user. */
class Refused extends Error {}

/** Sends JSON to an endpoint. Returns the response, or throws a `Refused` with the reason. */
async function post(path, json) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(json) };
  const response = await fetch(at(path), init).catch(() => {
    throw new Refused("The service does not answer. Try again.");
  });
  const text = await response.text();
  if (response.ok) return text === "" ? undefined : JSON.parse(text);
  const wait = response.headers.get("Retry-After");
  const retry = wait === null ? "" : ` Try again in ${wait} s.`;
  throw Object.assign(new Refused(`${detailOf(text) ?? `The service answers ${response.status}.`}${retry}`), {
    status: response.status,
  });
}

/** The `detail` of a problem; undefined if the text is not a problem, such as that of a proxy. */
function detailOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return undefined;
  }
}

/** Uses a token response from now on. */
function use(response) {
  session = response;
  ui?.preauthorizeApiKey(scheme, response.access_token);
  element("who").textContent = response.user.email ?? response.user.username;
  show();
  clearTimeout(timer);
  timer = setTimeout(renew, response.expires_in * 800);
}

async function renew() {
  const own = session;
  const { refresh_token, expires_in } = own;
  try {
    const response = await post("/refresh", { refresh_token });
    if (session === own) use(response);
  } catch (error) {
    // After a logout, or another login.
    if (session !== own) return;
    if (error.status === 401) return signOut("The session has ended. Log in again.");
    // The service does not answer, or is overloaded. The session may still exist.
    timer = setTimeout(renew, Math.max(5_000, expires_in * 50));
  }
}

function signOut(reason = "") {
  clearTimeout(timer);
  session = undefined;
  ui?.authActions.logout([scheme]);
  element("new-password").hidden = true;
  show();
  problem.textContent = reason;
}

function show() {
  form.hidden = session !== undefined;
  account.hidden = session === undefined;
}

/** Runs the action of a button. Disables the buttons meanwhile, and shows an error below them. */
async function busy(work) {
  const buttons = [...document.querySelectorAll(".docs-login button")];
  problem.textContent = "";
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(async () => {
    const [name, password] = ["name", "password"].map((id) => element(id).value);
    use(await post("/login", { [name.includes("@") ? "email" : "username"]: name, password }));
    form.reset();
    element("logout").focus();
  });
});

element("register").addEventListener("click", () =>
  busy(async () => {
    const password = crypto.randomUUID();
    const email = `test-${password.slice(0, 8)}@example.org`;
    use(await post("/register", { email, password }));
    element("new-password").hidden = false;
    element("new-password").querySelector("code").textContent = password;
    element("logout").focus();
  }),
);

element("logout").addEventListener("click", () =>
  busy(async () => {
    await post("/revoke", { token: session.refresh_token });
    signOut();
    element("name").focus();
  }),
);

// Test accounts are for development only.
element("register").hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

async function start() {
  const response = await fetch(at("/openapi.json")).catch(() => undefined);
  if (!response?.ok) {
    problem.textContent = "openapi.json cannot be loaded. Reload the page to try again.";
    return;
  }
  const spec = await response.json();
  // The document is the same for every deployment. Requests go to the service that this page comes from.
  spec.servers = [{ url: at("").href }];
  const schemes = Object.entries(spec.components?.securitySchemes ?? {});
  [scheme] = schemes.find(([, { type, scheme }]) => type === "http" && scheme === "bearer") ?? [];
  ui = SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    deepLinking: true,
    tryItOutEnabled: true,
    // The query of this page must not select another document.
    queryConfigEnabled: false,
    validatorUrl: null,
    persistAuthorization: false,
    onComplete: () => session && use(session),
  });
}
start();

import { createClient } from "@portcullis/client";

const auth = createClient({ url: "http://localhost:8787", mode: "cookie" });
const element = (id) => document.getElementById(id);
const form = element("signed-out");

const REASONS = {
  expired: "Your session has expired.",
  revoked: "Your session was ended.",
  account_changed: "Somebody else signed in in another tab.",
};

auth.onChange(({ status, user, reason }) => {
  element("loading").hidden = status !== "loading";
  form.hidden = status !== "signed_out";
  element("signed-in").hidden = status !== "signed_in";
  element("email").textContent = user?.email ?? "";
  element("reason").textContent = REASONS[reason] ?? "";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(form));
  element("error").textContent = "";
  try {
    // "login" or "register"
    await auth[event.submitter.name]({ email, password });
    form.reset();
  } catch (error) {
    element("error").textContent = error.detail;
  }
});

element("log-out").addEventListener("click", async () => {
  try {
    await auth.logout();
  } catch (error) {
    element("error").textContent = error.detail;
  }
});

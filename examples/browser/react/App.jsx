import { useState, useSyncExternalStore } from "react";

import { auth } from "./auth.js";

const REASONS = {
  expired: "Your session has expired.",
  revoked: "Your session was ended.",
  account_changed: "Somebody else signed in in another tab.",
};

const useAuth = () => useSyncExternalStore(auth.onChange, () => auth.state);

export function App() {
  const { status, user } = useAuth();
  return (
    <>
      <h1>React</h1>
      {status === "loading" && <p>Loading …</p>}
      {status === "signed_out" && <SignIn />}
      {status === "signed_in" && (
        <>
          <p>
            Signed in as <strong>{user.email}</strong>
          </p>
          <button type="button" onClick={() => auth.logout().catch(console.error)}>
            Log out
          </button>
        </>
      )}
    </>
  );
}

function SignIn() {
  const { reason } = useAuth();
  const [error, setError] = useState("");

  async function submit(event) {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.target));
    setError("");
    try {
      // "login" or "register"
      await auth[event.nativeEvent.submitter.name]({ email, password });
    } catch (error) {
      setError(error.detail);
    }
  }

  return (
    <form onSubmit={submit}>
      <p>{REASONS[reason]}</p>
      <label>
        E-mail <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button type="submit" name="login">
        Log in
      </button>
      <button type="submit" name="register">
        Register
      </button>
      <p role="alert">{error}</p>
    </form>
  );
}

// Starts the account pages, and shows a placeholder until the server has answered.

// It takes the token of a link off the address, before anything else runs.
import "../ui/link.ts";

import { render } from "preact";
import { useEffect } from "preact/hooks";

import { chooseLanguage, s } from "../strings/index.ts";
import { start } from "../ui/auth.ts";
import { Brand, Pending } from "../ui/basics.tsx";
import { useLoad } from "../ui/hooks.ts";
import { App, loadInside } from "./app.tsx";

function Start() {
  const started = useLoad(async () => {
    await start();
    return true;
  });
  useEffect(() => {
    document.title = s.brand;
    // Most users are signed in, or will be. If the file is missing, that is said where it is needed.
    loadInside().catch(() => {});
  }, []);
  if (started.data) return <App />;
  return (
    <main class="outside">
      <div class="panel">
        <Brand />
        <Pending {...started} />
      </div>
    </main>
  );
}

await chooseLanguage(navigator.languages);
render(<Start />, document.getElementById("app") as HTMLElement);

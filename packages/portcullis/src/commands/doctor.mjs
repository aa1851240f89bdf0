// Finds what is wrong with a deployment, or with the configuration and the database of this machine before one. It changes nothing.

import { database, json, parse, text } from "../command.mjs";
import { examine, GROUPS } from "../doctor/checks.mjs";
import { gather } from "../doctor/facts.mjs";
import { misused } from "../failure.mjs";
import { printable, show } from "../output.mjs";
import { called, packages } from "../place.mjs";

export const about =
  "Finds what is wrong with the configuration, the secrets and the database, and says what to do. Changes nothing. Exits with 1 if it " +
  "finds an error.";
export const result =
  '`{"errors", "warnings", "findings"}`, also if the exit code is 1: two numbers, and a list of `{"group", "check", "level", "text", "fix"}`';
export const forms = ["[--json]", "--remote [--file PATH] [--json]"];
export const options = {
  remote: { ...database.remote, help: `examines the deployment, not what ${called("dev")} uses` },
  "persist-to": database["persist-to"],
  file: text("PATH", "your copy of the secrets, whose values Cloudflare does not show"),
  ...json,
};

export async function main(args) {
  const { values } = parse(args, options, 0);
  if (values.file !== undefined && !values.remote) misused("--file is only valid with --remote");
  await packages();
  const findings = examine(await gather(values));
  const count = (level) => findings.filter((finding) => finding.level === level).length;
  const [errors, warnings] = [count("error"), count("warning")];
  for (const group of Object.keys(GROUPS))
    showGroup(
      group,
      findings.filter((finding) => finding.group === group),
    );
  const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  show(errors + warnings === 0 ? "nothing is wrong" : `${plural(errors, "error")}, ${plural(warnings, "warning")}`);
  if (errors > 0) process.exitCode = 1;
  return { errors, warnings, findings };
}

function showGroup(group, findings) {
  if (findings.length === 0) return;
  show(group);
  for (const { level, check, text, fix } of findings)
    show(printable(`  ${level.padEnd(7)}  ${check}: ${text}.${fix === undefined ? "" : ` Fix: ${fix}`}`));
  show("");
}

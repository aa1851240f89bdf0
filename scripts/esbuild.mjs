#!/usr/bin/env node
// What worker-build calls as esbuild: puts our entry in place of its own (`shim.js`) before everything becomes one file.

import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";

import { path } from "./lib.mjs";

copyFileSync(path("scripts", "entry.mjs"), "shim.js");
process.exitCode =
  spawnSync(path("node_modules", ".bin", "esbuild"), process.argv.slice(2), { stdio: "inherit" }).status ?? 1;

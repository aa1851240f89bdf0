// The commands. Each is a module in commands/, which is loaded when it is used. It exports `about`, a sentence that says what the
// command does; `forms`, how it is called; `options`; `result`, what --json prints; and `main`, which gets the arguments and returns
// the result.

export const COMMANDS = {
  init: () => import("./commands/init.mjs"),
  dev: () => import("./commands/dev.mjs"),
  deploy: () => import("./commands/deploy.mjs"),
  doctor: () => import("./commands/doctor.mjs"),
  keygen: () => import("./commands/keygen.mjs"),
  import: () => import("./commands/import.mjs"),
  export: () => import("./commands/export.mjs"),
  backup: () => import("./commands/backup.mjs"),
  restore: () => import("./commands/restore.mjs"),
  replay: () => import("./commands/replay.mjs"),
  grant: () => import("./commands/grant.mjs"),
  user: () => import("./commands/user.mjs"),
  reset: () => import("./commands/reset.mjs"),
};

-- Signing keys that the scheduled event makes. All is explained in schema.sql.

CREATE TABLE signing_keys (
  period INTEGER PRIMARY KEY NOT NULL,
  kid TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  activates_at INTEGER NOT NULL,
  retires_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  private_key TEXT NOT NULL
) STRICT, WITHOUT ROWID;

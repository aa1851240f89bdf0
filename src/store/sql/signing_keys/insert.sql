-- ?1 period, ?2 kid, ?3 algorithm, ?4 created_at, ?5 activates_at, ?6 retires_at, ?7 expires_at, ?8 private_key.
-- Of several that make a key for one period, the first wins.
-- Cost: 1 row read, 1 row written.
INSERT INTO signing_keys (period, kid, algorithm, created_at, activates_at, retires_at, expires_at, private_key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (period) DO NOTHING

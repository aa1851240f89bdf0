-- ?1 user_id, ?2 at, ?3 event_id or NULL for a new account, ?4 JSON array of hashes.
-- Cost: 1 event read, 1 row written for each code.
INSERT INTO recovery_codes (user_id, code_hash)
SELECT ?1, value
FROM json_each(?4)
WHERE ?3 IS NULL OR EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)

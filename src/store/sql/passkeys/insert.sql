-- ?1 JSON object of the passkey, ?2 user_id, ?3 now, ?4 id of an event that must exist, or NULL.
-- A passkey that was removed a moment ago is stored as NULL, which violates the schema, so that the transaction fails as for one that
-- exists.
-- Cost: 1 removed passkey and 1 event read, 2 rows written (the row and its index entry).
INSERT INTO passkeys (
  credential_id, user_id, public_key, name, transports, aaguid, is_backup_eligible, is_backed_up, counter, created_at, used_challenges
)
SELECT
  CASE
    WHEN NOT EXISTS (SELECT 1 FROM deleted_passkeys AS d WHERE d.credential_id = ?1 ->> '$.id' AND d.expires_at > ?3)
    THEN ?1 ->> '$.id'
  END,
  ?2, ?1 ->> '$.public_key', ?1 ->> '$.name', ?1 -> '$.transports', ?1 ->> '$.aaguid', ?1 ->> '$.backup_eligible',
  ?1 ->> '$.backed_up', ?1 ->> '$.counter', ?3, '{}'
WHERE ?4 IS NULL OR EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?2 AND e.at = ?3 AND e.id = ?4)

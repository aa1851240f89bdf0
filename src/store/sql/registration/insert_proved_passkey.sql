-- ?1 id of the challenge, ?2 request_id, ?3 now.
-- Cost: 1 challenge and its registration read, 2 rows written if it has a passkey (the row and its index entry).
INSERT INTO passkeys (
  credential_id, user_id, public_key, name, transports, aaguid, is_backup_eligible, is_backed_up, counter, created_at, used_challenges
)
SELECT
  r.passkey ->> '$.id', r.id, r.passkey ->> '$.public_key', r.passkey ->> '$.name', r.passkey -> '$.transports',
  r.passkey ->> '$.aaguid', r.passkey ->> '$.backup_eligible', r.passkey ->> '$.backed_up', r.passkey ->> '$.counter', ?3, '{}'
FROM challenges AS c
JOIN registrations AS r ON r.id = c.user_id
WHERE c.id = ?1 AND c.spent_by = ?2 AND r.passkey IS NOT NULL

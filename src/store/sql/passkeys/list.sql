-- ?1 user_id.
-- Cost: the passkeys of the user read by index, nothing written.
SELECT credential_id, name, transports, aaguid, is_backed_up, created_at, last_used_at
FROM passkeys
WHERE user_id = ?1
ORDER BY created_at, credential_id

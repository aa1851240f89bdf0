-- ?1 user_id, ?2 JSON array of the hashes that a code may have.
-- Cost: the recovery codes of the user read by index, nothing written.
SELECT code_hash, (SELECT count(*) FROM recovery_codes AS c WHERE c.user_id = ?1) AS codes
FROM recovery_codes
WHERE user_id = ?1 AND code_hash IN (SELECT value FROM json_each(?2))

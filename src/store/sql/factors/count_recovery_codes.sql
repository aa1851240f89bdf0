-- ?1 user_id.
-- Cost: the codes of the user read by index, nothing written.
SELECT count(*) AS codes
FROM recovery_codes
WHERE user_id = ?1

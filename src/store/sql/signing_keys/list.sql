-- No parameters.
-- Every period is greater than 0, and the condition makes this a search of the primary key.
-- Cost: 1 row read for each key, nothing written.
SELECT period, kid, algorithm, created_at, activates_at, retires_at, expires_at, private_key
FROM signing_keys
WHERE period > 0
ORDER BY period

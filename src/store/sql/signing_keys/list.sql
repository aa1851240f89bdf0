-- No parameters.
-- Every period is greater than 0, and the condition makes this a search of the primary key. A row with a number that is no time would
-- make the whole list invalid, so it is ignored.
-- Cost: 1 row read for each key, nothing written.
SELECT period, kid, algorithm, created_at, activates_at, retires_at, expires_at, private_key
FROM signing_keys
WHERE period > 0
  AND MIN(created_at, activates_at, retires_at, expires_at) >= 0
  AND MAX(period, created_at, activates_at, retires_at, expires_at) <= 253402300799
ORDER BY period

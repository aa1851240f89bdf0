-- ?1 JSON array of [period, kid].
-- Cost: 1 row read and 1 row written for each.
DELETE FROM signing_keys
WHERE (period, kid) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))

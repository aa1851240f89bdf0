-- ?1 JSON array of [period, old text, new text].
-- Cost: 1 row read and 1 row written for each.
UPDATE signing_keys
SET private_key = json_each.value ->> 2
FROM json_each(?1)
WHERE signing_keys.period = json_each.value ->> 0 AND signing_keys.private_key = json_each.value ->> 1

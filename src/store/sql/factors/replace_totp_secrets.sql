-- ?1 JSON array of [id, old text, new text].
-- Cost: 1 row read and 2 rows written for each (the row and its index entries).
UPDATE totp_secrets
SET secret = json_each.value ->> 2
FROM json_each(?1)
WHERE totp_secrets.id = json_each.value ->> 0 AND totp_secrets.secret = json_each.value ->> 1

DELETE FROM refresh_tokens
WHERE family_id > (SELECT after FROM sweeps WHERE name = 'refresh_tokens')
  AND family_id <= (SELECT upto FROM sweeps WHERE name = 'refresh_tokens')
  AND COALESCE(revoked_at, expires_at) < ?1

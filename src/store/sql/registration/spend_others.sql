-- ?1 id of the challenge, ?2 request_id.
-- They are not deleted, because whoever registered could tell by POST /email/verify/send.
-- Cost: the challenges of the address read by index, 1 row written for each of the registration.
UPDATE challenges
SET spent_by = ?2
WHERE email_key = (SELECT c.email_key FROM challenges AS c WHERE c.id = ?1 AND c.spent_by = ?2)
  AND user_id = (SELECT c.user_id FROM challenges AS c WHERE c.id = ?1)
  AND spent_by IS NULL

-- The practice takes its consent back; answers how many sessions that has ended.
-- params: 1 consent
-- rows: one
SELECT expunge_api.revoke_support_consent($1::uuid)

-- Forgets openings that nobody collected in time.
-- params: none
-- rows: one
SELECT expunge.forget_expired_openings()

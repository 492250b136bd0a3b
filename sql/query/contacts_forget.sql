-- Forgets whom to tell of accounts that are closed for good.
-- params: none
-- rows: one
SELECT expunge.forget_closed_contacts()

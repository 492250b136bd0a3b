-- Removes a contact; false: it was none.
-- params: 1 tenant, 2 audience, 3 address
-- rows: one
SELECT expunge.remove_contact($1, $2, $3)

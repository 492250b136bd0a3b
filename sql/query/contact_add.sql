-- Adds a contact; false: it was one.
-- params: 1 tenant, 2 audience, 3 address
-- rows: one
SELECT expunge.add_contact($1, $2, $3)

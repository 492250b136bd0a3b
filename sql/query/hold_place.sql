-- Places a hold.
-- params: 1 tenant, 2 subject, 3 kind, 4 reason, 5 review date
-- rows: one
SELECT h.id, h.already_removed FROM expunge.place_hold($1, $2, $3, $4, $5::date) h

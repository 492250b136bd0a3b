-- A mail came back.
-- params: 1 notice
-- rows: one
SELECT expunge.bounce_notice($1::uuid)

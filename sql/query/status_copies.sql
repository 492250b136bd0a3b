-- How many archives each destination has, is still to be given, and has a bad copy of.
-- params: none
-- rows: many
SELECT c.destination, c.there, c.sending, c.damaged FROM expunge.status_copy c ORDER BY c.destination

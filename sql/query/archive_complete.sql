-- An archive has its name in these destinations.
-- params: 1 id, 2 destinations
-- rows: none
UPDATE expunge.archive SET state = 'complete', destinations = $2::text[], finished_at = now()
 WHERE id = $1 AND state = 'naming'

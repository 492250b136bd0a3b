-- The next state of a change, from the one that it must be in.
-- params: 1 attempt, 2 from, 3 to
-- rows: maybe
UPDATE expunge.key_change c SET state = $3, changed_at = clock_timestamp() WHERE c.attempt = $1 AND c.state = $2 RETURNING c.attempt

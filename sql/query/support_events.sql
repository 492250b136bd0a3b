-- The events of one of them, and the first ones of what hangs on it.
-- params: 1 its id
-- rows: many
SELECT e.at, e.actor, e.kind, e.id, e.staff, e.reason, e.until, e.entry
  FROM expunge.support_register e
 WHERE e.id = $1::uuid OR e.of = $1::uuid
 ORDER BY e.number

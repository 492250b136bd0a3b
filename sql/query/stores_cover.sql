-- What had been seen and was not declared at certification, and another store stands for by now: one of the kind of a base
-- backup or archived WAL, or one that has the name of what goes with it. It ends with that store's day.
-- params: none
-- rows: none
WITH covered AS (
    SELECT u.request_id, u.name, max(d.until) AS until
      FROM expunge.request_store u
      JOIN expunge.request_store d ON d.request_id = u.request_id AND d.declared AND d.ended_at IS NULL
     WHERE NOT u.declared AND u.ended_at IS NULL
       AND (d.kind = u.kind AND u.kind IN ('wal-archive', 'physical-backup')
            OR EXISTS (SELECT FROM expunge.copies_seen() s
                        WHERE u.name IN (s.name, s.other_name) AND d.name IN (s.name, s.other_name)))
     GROUP BY u.request_id, u.name
)
UPDATE expunge.request_store u SET ended_at = now(), ended_how = 'declared', until = c.until
  FROM covered c
 WHERE u.request_id = c.request_id AND u.name = c.name

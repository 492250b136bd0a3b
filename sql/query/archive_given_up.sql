-- Archives of accounts that were dormant which have nothing that is not elsewhere: whatever left into them is live again and in a later
-- backup, or nothing ever left into them.
-- params: none
-- rows: many
SELECT a.tenant, a.generation, a.id, floor(extract(epoch FROM a.created_at))::bigint
  FROM expunge.archive a
  JOIN expunge.key_leaf l ON l.id = a.generation AND l.shredded_epoch IS NULL
  JOIN expunge.dormancy_archive y ON y.archive_id = a.id AND y.given_up
  JOIN expunge.dormancy d ON d.closure_id = y.closure_id
 WHERE a.state = 'complete' AND a.kind = 'dormant'
   AND (NOT EXISTS (SELECT FROM expunge.dormancy_chunk k WHERE k.archive_id = a.id)
        OR (d.phase = 'awake' AND EXISTS (SELECT FROM expunge.archive b JOIN expunge.key_leaf g ON g.id = b.generation AND g.shredded_epoch IS NULL
                                           WHERE b.tenant = a.tenant AND b.kind = 'backup' AND b.state = 'complete' AND b.created_at > d.awake_at)))
 ORDER BY a.tenant, a.id

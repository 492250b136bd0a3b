-- Interim certificates whose stores have all ended, the oldest first, their requests locked.
-- params: 1 how many, 2 requests to leave alone uuid[], 3 the host's time in seconds since 1970
-- rows: many
SELECT r.id, r.tenant, r.approved_plan, c.serial, c.id, c.note,
       (SELECT count(*) FROM expunge.recipient t WHERE t.request_id = r.id)
           + (SELECT count(t.told_at) FROM expunge.closure_recipient t WHERE t.closure_id = r.id),
       (SELECT count(t.acknowledged_at) FROM expunge.recipient t WHERE t.request_id = r.id)
           + (SELECT count(t.acknowledged_at) FROM expunge.closure_recipient t WHERE t.closure_id = r.id)
  FROM expunge.request r
  JOIN expunge.certificate c ON c.request_id = r.id AND c.stage = 'interim'
 WHERE r.state = 'certified' AND r.final_at IS NULL AND r.id <> ALL ($2::uuid[])
   AND NOT EXISTS (SELECT FROM expunge.request_store s
                    WHERE s.request_id = r.id
                      AND (s.ended_at IS NULL
                           OR s.ended_how <> 'stated' AND s.until >= expunge.civil_date(least(now(), to_timestamp($3::bigint)))))
 ORDER BY c.serial
 LIMIT $1::integer
   FOR UPDATE OF r SKIP LOCKED

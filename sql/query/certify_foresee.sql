-- The columns of certify_claim for a request that is not decided yet, with the present moment where one is missing.
-- params: 1 request, 2 the plan's document
-- rows: one
SELECT r.id, r.tenant, r.subject, r.ground,
       to_char(r.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(coalesce(r.identified_at, now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char((coalesce(r.due_on, current_date) + 1)::timestamp AT TIME ZONE i.zone AT TIME ZONE 'UTC' - interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       session_user, 'sha256:' || encode(sha256(convert_to($2, 'UTF8')), 'hex'),
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       true, $2, true, 0, 0,
       (SELECT t.consent FROM expunge.support_test_subject t WHERE r.kind = 'test-subject' AND t.id = r.id)
  FROM expunge.request r
 CROSS JOIN expunge.instance i
 WHERE r.id = $1::uuid

-- How many external stores were told of a closed account, have acknowledged, and are still to be told by a person; and one that its
-- approved plan says a program tells, and that was not told.
-- params: 1 closure
-- rows: one
SELECT (SELECT count(t.told_at) FROM expunge.closure_recipient t WHERE t.closure_id = $1::uuid),
       (SELECT count(t.acknowledged_at) FROM expunge.closure_recipient t WHERE t.closure_id = $1::uuid),
       (SELECT count(*) FROM expunge.closure_recipient t WHERE t.closure_id = $1::uuid AND t.told_at IS NULL),
       (SELECT min(split_part(split_part(line, ': ', 2), ': ', 1))
          FROM expunge.closure c JOIN expunge.closure_plan p ON p.closure_id = c.id AND p.hash = c.claimed_plan,
               regexp_split_to_table(p.document, '\n') AS line
         WHERE c.id = $1::uuid AND starts_with(line, 'tells: ')
           AND NOT EXISTS (SELECT FROM expunge.closure_recipient t
                            WHERE t.closure_id = c.id AND t.told_at IS NOT NULL AND starts_with(line, 'tells: ' || t.name || ': ')))

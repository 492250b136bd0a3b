-- The key tree in figures.
-- params: none
-- rows: one
SELECT t.epoch AS epoch, t.key_seq AS key_seq, to_char(t.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS changed,
       (SELECT count(*) FROM expunge.key_change c WHERE c.state = 'done') AS changes_done,
       (SELECT c.state FROM expunge.key_change c WHERE c.state NOT IN ('done', 'abandoned')) AS change_under_way,
       (SELECT c.barrier FROM expunge.key_change c WHERE c.state NOT IN ('done', 'abandoned')) AS change_waits_for
  FROM expunge.key_tree t

-- Archives whose generation's key has been shredded are expired; the register says how many.
-- params: none
-- rows: one
WITH expired AS (
       UPDATE expunge.archive a SET state = 'expired', finished_at = coalesce(a.finished_at, now())
         FROM expunge.key_leaf l
        WHERE l.id = a.generation AND l.shredded_epoch IS NOT NULL AND a.state <> 'expired'
       RETURNING a.tenant),
     entered AS (
       INSERT INTO expunge.event (kind, detail)
       SELECT 'archives-expired', count(*) || ' of ' || count(DISTINCT e.tenant) || ' tenants' FROM expired e HAVING count(*) > 0)
SELECT count(*) FROM expired

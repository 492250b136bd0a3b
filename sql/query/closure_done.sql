-- Tells a practice that its data is gone, once.
-- params: 1 closure
-- rows: one
SELECT expunge.notice_put('done', c.tenant, 'controller', jsonb_build_object('practice', c.tenant, 'closure', c.id,
           'purged_on', expunge.civil_date_in(r.removed_at, c.zone), 'complete_by', c.complete_on,
           'certificate', (SELECT s.id FROM expunge.certificate s WHERE s.request_id = c.id ORDER BY s.serial LIMIT 1)),
       c.id || '/done')
  FROM expunge.closure c JOIN expunge.closure_removal r ON r.closure_id = c.id
 WHERE c.id = $1::uuid

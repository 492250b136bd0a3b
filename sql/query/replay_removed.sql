-- Erasures that were carried out again and recounted.
-- params: none
-- rows: many
SELECT r.id, r.tenant, r.subject
  FROM expunge.request r WHERE r.kind = 'replay' AND r.state = 'removed' AND r.recounted_at IS NOT NULL

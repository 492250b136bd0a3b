-- Takes each tenant's lock, shared: a hold is placed under the exclusive form, before or after this transaction.
-- params: 1 requests uuid[]
-- rows: many
SELECT pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/' || x.tenant, 0))
  FROM (SELECT DISTINCT r.tenant FROM expunge.request r WHERE r.id = ANY($1::uuid[]) ORDER BY 1) x

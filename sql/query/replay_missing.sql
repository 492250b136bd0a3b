-- Erasures of this adoption that have a certificate, and of which the ledger says nothing.
-- params: 1 requests of the ledger uuid[]
-- rows: one
SELECT count(*)
  FROM expunge.replay y
  JOIN expunge.certificate c ON c.serial = y.serial AND c.kind = 'subject-erasure'
 WHERE y.adoption = (SELECT a.id FROM expunge.adoption a WHERE a.ended_at IS NULL) AND y.original <> ALL ($1::uuid[])

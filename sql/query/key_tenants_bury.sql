-- Tenants are gone: nothing of theirs from before this epoch lives. Their top pages go with the slots that these hung in.
-- params: 1 tenants text[], 2 epoch that begins, 3 key_seq
-- rows: none
WITH top AS (
       DELETE FROM expunge.key_page p
        USING unnest($1::text[]) t(tenant)
        CROSS JOIN LATERAL (SELECT k.id FROM expunge.key_page k WHERE k.tenant = t.tenant ORDER BY k.level DESC LIMIT 1) highest
        WHERE p.id = highest.id)
INSERT INTO expunge.key_gone AS g (tenant, epoch, seq)
SELECT t.tenant, $2::bigint, $3::bigint FROM unnest($1::text[]) t(tenant)
ON CONFLICT (tenant) DO UPDATE SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq

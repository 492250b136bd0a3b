-- An account begins to be dormant, unless it has.
-- params: 1 closure, 2 tenant
-- rows: none
INSERT INTO expunge.dormancy (closure_id, tenant) VALUES ($1::uuid, $2) ON CONFLICT (closure_id) DO NOTHING

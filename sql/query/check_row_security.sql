-- Control tables whose rows of other practices nothing would hide.
-- params: none
-- rows: many
SELECT n.name
  FROM unnest(ARRAY['request', 'hold', 'certificate', 'opening']) n(name)
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c
                    WHERE c.oid = to_regclass('expunge.' || n.name) AND c.relrowsecurity AND c.relforcerowsecurity)

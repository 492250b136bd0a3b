-- A person says that this database was restored.
-- params: none
-- rows: one
SELECT expunge.adoption_begin()

-- Gives column lists their numbers; what another run has numbered meanwhile stays.
-- params: 1 tables smallint[], 2 numbers smallint[], 3 columns text[]
-- rows: none
INSERT INTO expunge.mapped_via (table_id, via, columns)
SELECT g.table_id, g.via, g.columns FROM unnest($1::smallint[], $2::smallint[], $3::text[]) g(table_id, via, columns)
    ON CONFLICT DO NOTHING

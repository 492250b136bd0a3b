-- Takes expired archives out of the catalogue that have no file in any destination of the configuration.
-- params: 1 archives text[], 2 destinations of the configuration text[]
-- rows: none
DELETE FROM expunge.archive a
 WHERE a.id = ANY ($1::text[]) AND a.state = 'expired' AND NOT (a.destinations || a.sending) && $2::text[]

-- Puts the rules of the configuration for closing accounts into force; what was promised stays.
-- params: 1 triggers text[], 2 anchors text[], 3 days integer[], 4 meanings text[], 5 within days integer[]
-- rows: none
WITH rule AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::integer[]) AS r(trigger, anchor, days, meaning, within_days)
), gone AS (
    DELETE FROM expunge.closure_rule c WHERE NOT EXISTS (SELECT FROM rule r WHERE r.trigger = c.trigger)
)
INSERT INTO expunge.closure_rule (trigger, anchor, days, meaning, within_days)
SELECT r.trigger, r.anchor, r.days, r.meaning, r.within_days FROM rule r
ON CONFLICT (trigger) DO UPDATE
   SET anchor = EXCLUDED.anchor, days = EXCLUDED.days, meaning = EXCLUDED.meaning, within_days = EXCLUDED.within_days

-- Whether the rules in force are those of the configuration.
-- params: 1 triggers text[], 2 anchors text[], 3 days integer[], 4 meanings text[], 5 within days integer[]
-- rows: one
SELECT NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::integer[]) AS r(trigger, anchor, days, meaning, within_days)
      FULL JOIN expunge.closure_rule c ON c.trigger = r.trigger
     WHERE (c.anchor, c.days, c.meaning, c.within_days) IS DISTINCT FROM (r.anchor, r.days, r.meaning, r.within_days)) AS same

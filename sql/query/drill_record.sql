-- Enters the result of a drill in the register of events.
-- params: 1 drill-passed or drill-failed, 2 why or null
-- rows: none
INSERT INTO expunge.event (kind, detail) VALUES ($1, $2)

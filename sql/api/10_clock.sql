-- Civil dates: bank holidays by rule, working days, and the due date of a request.
-- Applied by every `expunge init`; idempotent.
--
-- Bank holidays: Banking and Financial Dealings Act 1971, Schedule 1, and the yearly proclamations
-- under section 1 (which make the substitute days), as listed on www.gov.uk/bank-holidays.

SET LOCAL ROLE expunge_owner;

CREATE OR REPLACE FUNCTION expunge.check_calendar(calendar text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF calendar IS NULL OR calendar NOT IN ('england-wales', 'scotland', 'northern-ireland') THEN
		RAISE EXCEPTION 'unknown calendar'
			USING ERRCODE = 'EX215', HINT = 'calendars are england-wales, scotland and northern-ireland';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_calendar(text) IS 'refuses a calendar that is not one of the three';

-- The "anonymous" rule published in Nature, 20 April 1876, p. 487, and in Butcher's Ecclesiastical
-- Calendar (1877), in the letters of Meeus, Astronomical Algorithms, ch. 8. Gregorian years.
CREATE OR REPLACE FUNCTION expunge.easter(year integer) RETURNS date
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	a integer := year % 19;
	b integer := year / 100;
	c integer := year % 100;
	d integer := b / 4;
	e integer := b % 4;
	f integer := (b + 8) / 25;
	g integer := (b - f + 1) / 3;
	h integer := (19 * a + b - d - g + 15) % 30;
	i integer := c / 4;
	k integer := c % 4;
	l integer := (32 + 2 * e + 2 * i - h - k) % 7;
	m integer := (a + 11 * h + 22 * l) / 451;
	n integer := h + l - 7 * m + 114;
BEGIN
	RETURN make_date(year, n / 31, n % 31 + 1);
END
$$;
COMMENT ON FUNCTION expunge.easter(integer) IS 'Easter Sunday of a Gregorian year';

CREATE OR REPLACE FUNCTION expunge.weekday_of_month(year integer, month integer, isodow integer, nth integer) RETURNS date
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN nth > 0
		THEN first_day + (isodow - extract(isodow FROM first_day)::integer + 7) % 7 + 7 * (nth - 1)
		ELSE last_day - (extract(isodow FROM last_day)::integer - isodow + 7) % 7
	END
	FROM (SELECT make_date(year, month, 1), (make_date(year, month, 1) + interval '1 month')::date - 1) d(first_day, last_day)
$$;
COMMENT ON FUNCTION expunge.weekday_of_month(integer, integer, integer, integer) IS
	'the nth (from 1) or, for -1, the last such weekday (1 is Monday) of a month';

-- A holiday that falls on a weekend is given on the next weekday that is not a holiday already;
-- so the fixed ones are gone through in the order of the year.
CREATE OR REPLACE FUNCTION expunge.bank_holidays(calendar text, year integer) RETURNS TABLE (day date, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	days   date[] := '{}';
	names  text[] := '{}';
	fixed  record;
	given  date;
BEGIN
	PERFORM expunge.check_calendar(calendar);
	IF year IS NULL OR year NOT BETWEEN 2010 AND 2199 THEN
		RAISE EXCEPTION 'year out of range'
			USING ERRCODE = 'EX216', HINT = 'bank holidays are known for the years 2010 to 2199';
	END IF;

	FOR fixed IN
		SELECT h.day, h.name FROM (VALUES
			(expunge.easter(year) - 2, 'Good Friday', true),
			(expunge.easter(year) + 1, 'Easter Monday', calendar <> 'scotland'),
			(expunge.weekday_of_month(year, 5, 1, 1), 'Early May bank holiday', true),
			(expunge.weekday_of_month(year, 5, 1, -1), 'Spring bank holiday', true),
			(expunge.weekday_of_month(year, 8, 1, -1), 'Summer bank holiday', calendar <> 'scotland'),
			(expunge.weekday_of_month(year, 8, 1, 1), 'Summer bank holiday', calendar = 'scotland')
		) h(day, name, applies) WHERE h.applies
	LOOP
		days := days || fixed.day;
		names := names || fixed.name;
	END LOOP;

	-- those that fall on a weekday first: a substitute makes way for them
	FOR fixed IN
		SELECT h.day, h.name, extract(isodow FROM h.day) >= 6 AS weekend FROM (VALUES
			(make_date(year, 1, 1), 'New Year''s Day', true),
			(make_date(year, 1, 2), '2nd January', calendar = 'scotland'),
			(make_date(year, 3, 17), 'St Patrick''s Day', calendar = 'northern-ireland'),
			(make_date(year, 7, 12), 'Battle of the Boyne', calendar = 'northern-ireland'),
			(make_date(year, 11, 30), 'St Andrew''s Day', calendar = 'scotland'),
			(make_date(year, 12, 25), 'Christmas Day', true),
			(make_date(year, 12, 26), 'Boxing Day', true)
		) h(day, name, applies) WHERE h.applies ORDER BY 3, 1
	LOOP
		given := fixed.day;
		WHILE extract(isodow FROM given) >= 6 OR (fixed.weekend AND given = ANY (days)) LOOP
			given := given + 1;
		END LOOP;
		days := days || given;
		names := names || (fixed.name || CASE WHEN given <> fixed.day THEN ' (substitute day)' ELSE '' END);
	END LOOP;

	RETURN QUERY
		SELECT r.day, r.name FROM unnest(days, names) r(day, name)
		WHERE NOT EXISTS (SELECT FROM expunge.one_off_holiday o
			WHERE o.calendar = bank_holidays.calendar AND o.day = r.day)
		UNION ALL
		SELECT o.day, o.name FROM expunge.one_off_holiday o
		WHERE o.calendar = bank_holidays.calendar AND NOT o.works AND extract(year FROM o.day) = bank_holidays.year
		ORDER BY 1;
END
$$;
COMMENT ON FUNCTION expunge.bank_holidays(text, integer) IS
	'the days of a year on which nobody is expected to work, weekends apart: computed ones and expunge.one_off_holiday';

CREATE OR REPLACE FUNCTION expunge.working_day_on_or_after(calendar text, day date) RETURNS date
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found date := day;
BEGIN
	PERFORM expunge.check_calendar(calendar);
	IF day IS NULL OR NOT isfinite(day) THEN
		RAISE EXCEPTION 'missing date' USING ERRCODE = 'EX216', HINT = 'give a civil date';
	END IF;
	WHILE extract(isodow FROM found) >= 6
		OR EXISTS (SELECT FROM expunge.bank_holidays(calendar, extract(year FROM found)::integer) h WHERE h.day = found)
	LOOP
		found := found + 1;
	END LOOP;
	RETURN found;
END
$$;
COMMENT ON FUNCTION expunge.working_day_on_or_after(text, date) IS
	'the day itself, or the next one that is neither a weekend nor a bank holiday';

-- The ICO's reckoning of Art. 12(3): from the day of receipt to the corresponding date of the month
-- after; where there is none, its last day; where that is no working day, the next one.
-- Adding an interval of months to a date does the first two.
CREATE OR REPLACE FUNCTION expunge.due_date(received date, calendar text, months integer DEFAULT 1) RETURNS date
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF received IS NULL OR NOT isfinite(received) THEN
		RAISE EXCEPTION 'missing date' USING ERRCODE = 'EX216', HINT = 'give the civil date of receipt';
	END IF;
	IF months IS NULL OR months NOT BETWEEN 1 AND 12 THEN
		RAISE EXCEPTION 'months out of range'
			USING ERRCODE = 'EX216', HINT = '1, or 3 for an extended request';
	END IF;
	RETURN expunge.working_day_on_or_after(calendar, (received + make_interval(months => months))::date);
END
$$;
COMMENT ON FUNCTION expunge.due_date(date, text, integer) IS
	'the day by which a request received on a civil date must be answered: 1 month, or 3 when extended';

-- ---------------------------------------------------------------- the instance's own clock

CREATE OR REPLACE FUNCTION expunge.instance_zone() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	zone text := (SELECT i.zone FROM expunge.instance i);
BEGIN
	IF zone IS NULL THEN
		RAISE EXCEPTION 'this installation is not initialised' USING ERRCODE = 'EX411', HINT = 'run expunge init';
	END IF;
	RETURN zone;
END
$$;
COMMENT ON FUNCTION expunge.instance_zone() IS 'the time zone in which this installation reckons civil dates';

CREATE OR REPLACE FUNCTION expunge.civil_date(instant timestamptz) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT (instant AT TIME ZONE expunge.instance_zone())::date
$$;
COMMENT ON FUNCTION expunge.civil_date(timestamptz) IS 'the civil date of an instant in the installation''s zone';

-- ---------------------------------------------------------------- proclaimed for one year only
-- A new release adds new ones here; an operator may insert others, which stay.

INSERT INTO expunge.one_off_holiday (calendar, day, name, works)
SELECT c.calendar, h.day, h.name, h.works
FROM unnest(ARRAY['england-wales', 'scotland', 'northern-ireland']) c(calendar),
	(VALUES
		(date '2011-04-29', 'Wedding of Prince William', false),
		(date '2012-05-28', 'Spring bank holiday, moved to 4 June', true),
		(date '2012-06-04', 'Spring bank holiday', false),
		(date '2012-06-05', 'Queen''s Diamond Jubilee', false),
		(date '2020-05-04', 'Early May bank holiday, moved to 8 May', true),
		(date '2020-05-08', 'Early May bank holiday (VE day)', false),
		(date '2022-05-30', 'Spring bank holiday, moved to 2 June', true),
		(date '2022-06-02', 'Spring bank holiday', false),
		(date '2022-06-03', 'Queen''s Platinum Jubilee', false),
		(date '2022-09-19', 'State Funeral of Queen Elizabeth II', false),
		(date '2023-05-08', 'Coronation of King Charles III', false)
	) h(day, name, works)
UNION ALL
-- proclaimed on 4 February 2026 under section 1(3) of the Act
SELECT 'scotland', date '2026-06-15', 'World Cup bank holiday', false
ON CONFLICT (calendar, day) DO NOTHING;

RESET ROLE;

-- Accounts that are dormant: their rows are sealed and have left the live database. Called by the functions of 57_account.sql.
-- Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

CREATE OR REPLACE FUNCTION expunge.is_dormant(closure uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM expunge.dormancy d WHERE d.closure_id = closure AND d.phase = 'dormant')
$$;
COMMENT ON FUNCTION expunge.is_dormant(uuid) IS 'no row of a closing account is in the live database any more; its archives have them';

-- What has left comes back, and until it has, nothing else is done to it.
CREATE OR REPLACE FUNCTION expunge.wake_account(closure uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE expunge.dormancy d SET phase = 'waking', waking_at = now(), problem = NULL, problem_at = NULL
	WHERE d.closure_id = closure AND d.phase IN ('sealed', 'dormant') AND d.n_rows > 0;
	UPDATE expunge.dormancy d SET phase = 'awake', waking_at = now(), awake_at = now(), problem = NULL, problem_at = NULL
	WHERE d.closure_id = closure AND d.phase = 'sealed';
	IF FOUND THEN
		UPDATE expunge.dormancy_archive a SET given_up = true WHERE a.closure_id = closure;
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.wake_account(uuid) IS 'an account that came back: its sealed rows are to be loaded; nothing to do where none has left';

-- The certificate counts what left the live database, whenever that was.
CREATE OR REPLACE FUNCTION expunge.count_dormant(closure uuid) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO expunge.closure_tally (closure_id, table_id, class, n_before, n_arrived, n_removed, n_created)
	SELECT closure, t.table_id, max(t.class), sum(t.n_rows), 0, sum(t.n_rows), sum(t.n_created)
	FROM expunge.dormancy d
	JOIN expunge.dormancy_chunk h ON h.closure_id = d.closure_id
	JOIN expunge.dormancy_taken t ON t.chunk_id = h.id
	WHERE d.closure_id = closure AND d.phase = 'dormant' AND t.table_id IS NOT NULL
	GROUP BY t.table_id
	ON CONFLICT (closure_id, table_id) DO NOTHING
$$;
COMMENT ON FUNCTION expunge.count_dormant(uuid) IS 'takes the counts of what left a dormant account into those of its purge';

RESET ROLE;

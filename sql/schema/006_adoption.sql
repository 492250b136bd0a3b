-- A database that was restored is brought to where the journal of the keys ends, and erased again is what had been erased.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.adoption (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	begun_by name NOT NULL DEFAULT session_user,
	begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	ended_at timestamptz
);
CREATE UNIQUE INDEX adoption_open ON expunge.adoption ((true)) WHERE ended_at IS NULL;
COMMENT ON TABLE expunge.adoption IS 'each time that a restored database was adopted; while one has not ended, nothing else runs';

CREATE TABLE expunge.adopted_line (
	n    bigint PRIMARY KEY,
	kind text NOT NULL,
	line text NOT NULL
);
COMMENT ON TABLE expunge.adopted_line IS 'the journal''s rows on their way to where they belong, in its order; empty otherwise';

CREATE TABLE expunge.replay (
	original uuid PRIMARY KEY,
	adoption bigint NOT NULL REFERENCES expunge.adoption,
	serial   bigint
);
COMMENT ON TABLE expunge.replay IS 'erasures that a restored database did not know of, by the request that they were';
COMMENT ON COLUMN expunge.replay.serial IS 'its certificate; NULL: there is none yet';

CREATE TABLE expunge.replay_request (
	request  uuid PRIMARY KEY,
	original uuid NOT NULL REFERENCES expunge.replay
);
COMMENT ON TABLE expunge.replay_request IS 'what carries them out again; several where duplicates had not been merged yet in the restored database';

RESET ROLE;

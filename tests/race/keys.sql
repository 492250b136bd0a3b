-- For races with a key tree: what must hold of it between any two runs. Loaded after clinic.sql and `expunge init`.
SET search_path = pg_catalog;

CREATE FUNCTION race.keys_wrong() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT 'epoch ' || c.epoch || ' was ended ' || count(*) || ' times' FROM expunge.key_change c
	 WHERE c.state <> 'abandoned' GROUP BY c.epoch HAVING count(*) > 1
	UNION ALL
	SELECT 'epoch ' || c.epoch || ' was not brought to its end: ' || c.state FROM expunge.key_change c WHERE c.state NOT IN ('done', 'abandoned')
	UNION ALL
	SELECT 'the tree is of another attempt than the last' FROM expunge.key_tree t
	 WHERE NOT EXISTS (SELECT FROM expunge.key_change c WHERE c.attempt = t.attempt AND c.epoch = t.epoch - 1 AND c.state = 'done')
	UNION ALL
	SELECT 'an epoch is missing' FROM expunge.key_tree t WHERE t.epoch <> (SELECT count(*) FROM expunge.key_change c WHERE c.state = 'done')
	UNION ALL
	SELECT 'page ' || p.id || ', slot ' || s || CASE WHEN (p.live >> s) & 1 = 1 THEN ': a key of nobody' ELSE ': a key is lost' END
	  FROM expunge.key_page p CROSS JOIN generate_series(0, 63) s
	 WHERE ((p.live >> s) & 1 = 1) <> CASE p.level
		WHEN 0 THEN EXISTS (SELECT FROM expunge.key_leaf l WHERE l.page = p.id AND l.slot = s AND l.shredded_epoch IS NULL)
		ELSE EXISTS (SELECT FROM expunge.key_page c WHERE c.parent = p.id AND c.slot = s) END
	UNION ALL
	SELECT 'leaf ' || l.id || ' hangs nowhere' FROM expunge.key_leaf l
	 WHERE l.shredded_epoch IS NULL AND NOT EXISTS (SELECT FROM expunge.key_page p WHERE p.id = l.page AND p.level = 0)
$$;

-- Drops all that is in the schema, whichever version made it, but for what belongs to an extension.
DO $$ DECLARE statement text; BEGIN
  FOREACH statement IN ARRAY coalesce((
    SELECT array_agg('DROP ' || kind || ' IF EXISTS ' || name || ' CASCADE') FROM (
      SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
             WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind, oid::regclass::text AS name, oid
        FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      UNION ALL SELECT 'ROUTINE', oid::regprocedure::text, oid
        FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
      UNION ALL SELECT 'TYPE', t.oid::regtype::text, t.oid
        FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
        WHERE typnamespace = current_schema()::regnamespace
          AND (typtype IN ('e', 'd', 'r') OR typtype = 'c' AND relkind = 'c')
    ) found
    WHERE NOT EXISTS (SELECT FROM pg_depend WHERE objid = found.oid AND deptype = 'e')), '{}')
  LOOP EXECUTE statement; END LOOP;
END $$;

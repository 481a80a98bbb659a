-- Makes the two roles of a database, or turns a database that had one role into that: record_owner owns the
-- tables and migrates, record_api serves. For psql, as a superuser; may be run again, which changes passwords.
\getenv owner_password OWNER_PASSWORD
\getenv api_password API_PASSWORD
BEGIN;
SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['record_owner', 'record_api']) AS wanted (name)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE record_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE record_api LOGIN PASSWORD :'api_password';
ALTER DATABASE :"DBNAME" OWNER TO record_owner;
ALTER SCHEMA public OWNER TO record_owner;
SELECT format('ALTER TABLE %s OWNER TO record_owner', oid::regclass) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
\gexec
SELECT format('ALTER ROUTINE %s OWNER TO record_owner', oid::regprocedure) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
\gexec
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO record_api;
GRANT USAGE ON SCHEMA public TO record_api;
ALTER DEFAULT PRIVILEGES FOR ROLE record_owner IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO record_api;
COMMIT;

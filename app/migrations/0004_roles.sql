-- Two roles without login: edgeloop_writer for the projector, edgeloop_reader for people and dashboards.
-- Who migrates owns the tables.  Log-ins become members: GRANT edgeloop_reader TO somebody.
-- `migrate` calls this after each run, with its tables, so that tables of later migrations are covered.

CREATE FUNCTION edgeloop_grant(ours text[], ledger text) RETURNS text[]
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    role_name  text;
    table_name text;
    missing    text[] := '{}';
BEGIN
    FOREACH role_name IN ARRAY ARRAY['edgeloop_writer', 'edgeloop_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    missing := missing || role_name;
                    CONTINUE;
                WHEN duplicate_object OR unique_violation THEN
                    NULL; -- another migration made it in this moment
            END;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
        FOREACH table_name IN ARRAY ours || ledger LOOP
            EXECUTE format('GRANT SELECT ON %I TO %I', table_name, role_name);
            IF role_name = 'edgeloop_writer' AND table_name <> ledger THEN
                EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO %I', table_name, role_name);
            END IF;
        END LOOP;
    END LOOP;
    -- The projector stages each batch in a temporary table.
    IF NOT 'edgeloop_writer' = ANY (missing)
        AND NOT has_database_privilege('edgeloop_writer', current_database(), 'TEMPORARY')
        AND has_database_privilege(current_database(), 'TEMPORARY WITH GRANT OPTION') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO edgeloop_writer', current_database());
    END IF;
    RETURN missing;
END
$$;
REVOKE ALL ON FUNCTION edgeloop_grant(text[], text) FROM PUBLIC;
COMMENT ON FUNCTION edgeloop_grant(text[], text) IS
    'Makes edgeloop_writer and edgeloop_reader and gives them their rights; returns those that it may not make.';

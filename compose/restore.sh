#!/bin/sh
# Puts the archive on standard input in the place of what the database holds: all of it, or nothing.
set -eu
{
    echo 'SET client_min_messages = warning; BEGIN;'
    cat "${EMPTY:-/empty.sql}"
    if pg_restore --no-owner --no-privileges --no-comments --schema=public --file=-; then
        echo 'COMMIT;'
    else
        echo "DO \$\$ BEGIN RAISE EXCEPTION 'The archive is damaged: the database is as it was.'; END \$\$;"
    fi
} | psql --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1

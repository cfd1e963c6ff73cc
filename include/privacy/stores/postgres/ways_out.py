"""What may let data out of a PostgreSQL database: roles, replication, foreign servers; as it is, unjudged."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from include.privacy.stores.postgres.session import Connection, connect

# Extensions through which rows can leave: other servers, the network, files of the machine.
REACHING_OUT = (
    "dblink", "postgres_fdw", "file_fdw", "mysql_fdw", "oracle_fdw", "tds_fdw", "redis_fdw", "mongo_fdw",
    "clickhouse_fdw", "parquet_s3_fdw", "aws_s3", "aws_lambda", "google_ml_integration", "http", "pg_net",
    "pgsql_http", "pg_cron", "pglogical", "wal2json", "adminpack", "lo", "multicorn", "wrappers",
)  # fmt: skip
# Members read or write everything, or reach the machine's files and programs.
_POWERS = (
    "pg_read_all_data", "pg_read_server_files", "pg_write_server_files", "pg_execute_server_program",
)  # fmt: skip

_ROLES = """
SELECT r.oid, r.rolname,
       r.rolsuper OR r.rolreplication OR r.rolbypassrls OR EXISTS (
         SELECT FROM pg_roles p WHERE p.rolname = ANY(%s) AND pg_has_role(r.oid, p.oid, 'MEMBER'))
  FROM pg_roles r
 WHERE r.rolcanlogin AND has_database_privilege(r.oid, current_database(), 'CONNECT')
 ORDER BY r.oid"""
_PUBLICATIONS = "SELECT pubname FROM pg_publication ORDER BY 1"
_SUBSCRIPTIONS = (
    "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
    " WHERE d.datname = current_database() ORDER BY 1"
)
_SERVERS = "SELECT srvname FROM pg_foreign_server ORDER BY 1"
# Languages that may do whatever the server may, such as plpython3u, come as extensions too.
_EXTENSIONS = """
SELECT e.extname FROM pg_extension e
 WHERE e.extname = ANY(%s) OR EXISTS (
         SELECT FROM pg_depend d JOIN pg_language l ON l.oid = d.objid
          WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
            AND d.classid = 'pg_language'::regclass AND NOT l.lanpltrusted)
 ORDER BY 1"""
# Physical slots belong to no database: they carry all of them.
_SLOTS = (
    "SELECT slot_name FROM pg_replication_slots"
    " WHERE coalesce(database, current_database()) = current_database() ORDER BY 1"
)


@dataclass(frozen=True)
class LoginRole:
    """A role that may log in to this database. ``privileged``: past every grant (superuser and the like)."""

    oid: int
    name: str
    privileged: bool


@dataclass(frozen=True)
class WaysOut:
    """Names of what there is in one database."""

    roles: tuple[LoginRole, ...] = ()
    publications: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()


def read_ways_out(dsn: str) -> WaysOut:
    """Ask the catalogue, which every role may read. Raises ``psycopg.Error``."""
    with connect(dsn, statement_timeout_s=30) as connection:
        roles = connection.execute(_ROLES, [list(_POWERS)]).fetchall()
        return WaysOut(
            roles=tuple(LoginRole(int(oid), str(name), bool(power)) for oid, name, power in roles),
            publications=_names(connection, _PUBLICATIONS),
            subscriptions=_names(connection, _SUBSCRIPTIONS),
            servers=_names(connection, _SERVERS),
            extensions=_names(connection, _EXTENSIONS, list(REACHING_OUT)),
            slots=_names(connection, _SLOTS),
        )


def _names(connection: Connection, query: str, *parameters: object) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in connection.execute(sql.SQL(query), parameters or None).fetchall())

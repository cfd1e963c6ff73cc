"""Which TLS is really spoken with every endpoint in use, and whether older versions are refused (P7.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.privacy.audits.controls.verdicts import Judgement, Probe, broken, cannot_be_told, exempt, holds
from include.privacy.policy.controls import Tls
from include.privacy.runtime import LEDGER, SENDGRID, runtime
from include.privacy.wire import is_loopback

if TYPE_CHECKING:
    from include.privacy.stores.handshake import Handshake

CODE = "tls_version"
NEWEST = "TLSv1.3"
_POSTGRES = 5432
_GOOGLE = {
    "gcs": "https://storage.googleapis.com",
    "cloud_sql": "https://sqladmin.googleapis.com",
    "cloud_logging": "https://logging.googleapis.com",
}
_AWS = {"s3": "s3", "rds": "rds", "cloudwatch": "logs"}


def probes(as_of: datetime) -> Iterator[Probe]:
    """One for each database, bucket, service of a cloud, queue, processor, host and the mail service."""
    config = runtime().config()
    for store in config.data_map.stores:
        if store.kind == "postgres":
            yield _probe(store.store, partial(_database, store.connection))
        else:
            yield _url(store.store, partial(_cloud, store.kind, store.connection))
    yield _probe("ledger", partial(_database, LEDGER))
    for snapshots in config.clouds.snapshots:
        yield _url(snapshots.store, partial(_cloud, snapshots.kind, snapshots.connection))
    for logs in config.clouds.logs:
        yield _url(logs.name, partial(_cloud, logs.kind, logs.connection))
    for queue in config.controls.at_rest.queues:
        yield _url(queue, partial(_queue, queue))
    watched = config.controls.intrusion
    for service, connections in (
        ("iam", config.controls.administrators.aws),
        ("guardduty", watched.guardduty),
        ("cloudtrail", watched.cloudtrail),
    ):
        for conn_id in connections:
            yield _url(conn_id, partial(_service, service, conn_id))
    for name, mapped in config.processors.items():
        yield _url(name, partial(_processor, name, mapped.connection))
    yield _url("mail", partial(_processor, SENDGRID, SENDGRID))
    for host in config.policy.transmission_hosts:
        yield _url(f"archives to {host.host}", partial(str, f"https://{host.host}:{host.port}"))
    for name in config.policy.opendsr.callback_hosts:
        yield _url(f"callbacks to {name}", partial(str, f"https://{name}"))


def judge(found: Handshake, host: str, policy: Tls) -> Judgement:
    """The verdict on one endpoint that is not this machine."""
    facts = {"version": found.version, "cipher": found.cipher, "older": found.older}
    if found.version != NEWEST:
        return broken(
            f"{found.failure or f'{found.version} was negotiated'}",
            "have the server speak TLS 1.3 with a certificate of a trusted authority",
            **facts,
        )
    if found.older is None:
        return holds("TLS 1.3 is spoken, and nothing older is taken", **facts)
    why = next((o.why for o in policy.older_taken if host == o.host or host.endswith(f".{o.host}")), None)
    if why is None:
        return broken(
            f"{found.older} is taken too",
            "set its least version to TLS 1.3, or say why not (config/controls.yaml, tls.older_taken)",
            **facts,
        )
    return holds(f"TLS 1.3 is spoken; {found.older} is taken from others ({why})", **facts)


def look(host: str, port: int, *, postgres: bool = False) -> Judgement:
    """Shake hands with an endpoint, unless it is on this machine."""
    from include.privacy.stores.handshake import NoTlsError, UnreachableError, shake_hands

    if is_loopback(host) or host.startswith("/"):
        return exempt("on this machine")
    try:
        found = shake_hands(host, port, postgres=postgres)
    except NoTlsError as error:
        return broken(str(error), "switch TLS on (ssl = on, ssl_min_protocol_version = 'TLSv1.3')")
    except UnreachableError as error:
        return cannot_be_told(str(error), "check host, port and firewall of the connection")
    return judge(found, host, runtime().config().controls.tls)


def _database(conn_id: str) -> Judgement:
    """The handshake, and what the server says of our own session."""
    from include.privacy.stores.postgres.session_tls import session_tls

    info = runtime().connection(conn_id)
    seen = look(info.host or "", info.port or _POSTGRES, postgres=True)
    if seen.verdict != "holds":
        return seen
    session = session_tls(runtime().dsn(conn_id))
    if session is None or session[0] != NEWEST:
        spoken = session[0] if session else "no TLS"
        return broken(
            f"the server offers TLS 1.3, and our session has {spoken}",
            "set ssl_min_protocol_version=TLSv1.3 in the connection's extra; look for a pooler in between",
            **seen.facts,
        )
    return seen


def _probe(place: str, find: Callable[[], Judgement]) -> Probe:
    return Probe(CODE, place, find)


def _url(place: str, find: Callable[[], str]) -> Probe:
    def find_and_look() -> Judgement:
        parts = urlsplit(find())
        host = parts.hostname or ""
        if parts.scheme != "https" and not is_loopback(host):
            return broken("the endpoint is not https", "write https:// into the connection")
        return look(host, parts.port or 443)

    return Probe(CODE, place, find_and_look)


def _cloud(kind: str, conn_id: str) -> str:
    if kind in _AWS:
        return _service(_AWS[kind], conn_id)
    return str(runtime().connection(conn_id).extra.get("endpoint_url") or _GOOGLE[kind])


def _service(service: str, conn_id: str) -> str:
    """Where AWS has the service; its client knows the region's host."""
    info = runtime().connection(conn_id)
    return str(info.extra.get("endpoint_url") or runtime().aws(service, conn_id).meta.endpoint_url)


def _queue(conn_id: str) -> str:
    return str(runtime().connection(conn_id).extra.get("queue_url") or "")


def _processor(name: str, conn_id: str) -> str:
    from include.privacy.processors.endpoints import endpoint_of

    return endpoint_of(name, runtime().connection(conn_id))

"""TLS as it is really spoken, against servers of this test's own."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.privacy.audits.controls import tls
from include.privacy.policy.controls import OlderTaken, Tls
from include.privacy.stores import aws
from include.privacy.stores.handshake import Handshake, NoTlsError, UnreachableError, shake_hands
from include.privacy.stores.postgres.session_tls import session_tls
from include.privacy.wire import tls_13

HOST = "localhost"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that signs itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does ``talk`` with each connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.close()


def speaking(
    authority: Path, *, least: ssl.TLSVersion, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    context.minimum_version, context.maximum_version = least, most
    return context


def https(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as session:
            session.recv(1)

    return talk


def postgres(answer: bytes, context: ssl.SSLContext | None = None) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        assert connection.recv(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
        connection.sendall(answer)
        if context:
            https(context)(connection)

    return talk


def trusting(authority: Path) -> ssl.SSLContext:
    context = tls_13()
    context.load_verify_locations(authority)
    return context


@pytest.mark.parametrize("speaks_postgres", [False, True])
def test_a_server_of_1_3_holds_and_one_that_takes_1_2_as_well_is_broken(
    authority: Path, speaks_postgres: bool
) -> None:
    found = {}
    for name, least in (("strict", ssl.TLSVersion.TLSv1_3), ("lax", ssl.TLSVersion.TLSv1_2)):
        context = speaking(authority, least=least)
        with serving(postgres(b"S", context) if speaks_postgres else https(context)) as port:
            found[name] = shake_hands(HOST, port, postgres=speaks_postgres, ours=trusting(authority))
    assert (found["strict"].version, found["strict"].older) == ("TLSv1.3", None)
    assert (found["lax"].version, found["lax"].older) == ("TLSv1.3", "TLSv1.2")

    assert tls.judge(found["strict"], "db.example", Tls()).verdict == "holds"
    lax = tls.judge(found["lax"], "db.example", Tls())
    assert lax.verdict == "broken" and "TLSv1.2 is taken too" in lax.reason
    excused = Tls(older_taken=(OlderTaken(host="vendor.example", why="the vendor takes it from others"),))
    assert tls.judge(found["lax"], "api.vendor.example", excused).verdict == "holds"
    assert tls.judge(found["lax"], "notvendor.example", excused).verdict == "broken"


def test_old_or_untrusted_servers_are_broken_with_the_reason(authority: Path) -> None:
    old = speaking(authority, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_2)
    with serving(https(old)) as port:
        found = shake_hands(HOST, port, ours=trusting(authority))
    assert (found.version, found.older) == (None, "TLSv1.2")
    assert tls.judge(found, "x.example", Tls()).verdict == "broken"

    with serving(https(speaking(authority, least=ssl.TLSVersion.TLSv1_3))) as port:
        unknown = shake_hands(HOST, port)
    assert "certificate" in (unknown.failure or "")
    assert tls.judge(unknown, "x.example", Tls()).verdict == "broken"


def test_who_does_not_answer_cannot_be_told_and_who_refuses_tls_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with pytest.raises(UnreachableError):
        shake_hands(HOST, port)
    with serving(postgres(b"N")) as port, pytest.raises(NoTlsError):
        shake_hands(HOST, port, postgres=True)
    with serving(postgres(b"E")) as port, pytest.raises(UnreachableError):
        shake_hands(HOST, port, postgres=True)


def test_the_looks_verdicts_follow_from_what_the_handshake_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(outcome: Any) -> str:
        def shake(*_: Any, **__: Any) -> Handshake:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr("include.privacy.stores.handshake.shake_hands", shake)
        return tls.look("db.example", 5432, postgres=True).verdict.value

    assert answer(UnreachableError("no connection")) == "cannot be told"
    assert answer(NoTlsError("without TLS only")) == "broken"
    assert answer(Handshake(None, None, "TLS 1.3 was refused", "TLSv1.2")) == "broken"
    for here in ("localhost", "127.0.0.1", "::1", "/run/postgresql"):
        assert tls.look(here, 5432).verdict == "exempt"


def test_the_embedded_database_refuses_tls_and_says_so_of_our_session(
    world: Any, fresh_database: Callable[..., str]
) -> None:
    with pytest.raises(NoTlsError):
        shake_hands(world.postgres.host, world.postgres.port, postgres=True)
    assert session_tls(fresh_database()) is None


def test_our_clients_of_aws_and_google_offer_nothing_older_than_1_3(
    authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores import gcs, google_api, s3

    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between the attempts of both libraries
    old = speaking(authority, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_2)
    offered: list[str | None] = []

    def watch(connection: socket.socket) -> None:
        try:
            with old.wrap_socket(connection, server_side=True) as session:
                offered.append(session.version())
        except ssl.SSLError as error:
            offered.append(error.reason)

    keys = {"region": "eu-central-1", "access_key": "a", "secret_key": "b"}
    monkeypatch.setattr(google_api, "ATTEMPTS", 1)
    with serving(watch) as port:
        url = f"https://{HOST}:{port}"
        client = s3.s3_client(endpoint_url=url, **keys)
        with pytest.raises(Exception, match="SSL"):
            client.list_buckets()
        assert offered and set(offered) == {"UNSUPPORTED_PROTOCOL"}
        kms = aws.aws_client("kms", endpoint_url=url, **keys)
        with pytest.raises(Exception, match="SSL"):
            kms.list_keys()
        made = google_api.google_api(endpoint_url=url)
        with pytest.raises(aws.CloudError, match="SSLError"):
            made.call("GET", HOST, "/", permission="p")
        assert set(offered) == {"UNSUPPORTED_PROTOCOL"}
    monkeypatch.setattr(gcs.storage, "Client", lambda project: type("C", (), {"_http": _Mounts()})())
    found: Any = gcs.gcs_client(project="p")
    assert found._http.mounted == [("https://", google_api.Tls13)]


class _Mounts:
    def __init__(self) -> None:
        self.mounted: list[tuple[str, type]] = []

    def mount(self, prefix: str, adapter: Any) -> None:
        self.mounted.append((prefix, type(adapter)))

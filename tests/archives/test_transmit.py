"""Direct transmission: to listed hosts, to the address that was checked, signed, and never twice unseen."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from include.privacy.archives.transmit import (
    Package,
    Receipt,
    TransmissionRefusedError,
    TransmissionUncertainError,
    transmit,
)
from include.privacy.policy.policy import TransmissionHost

NAME = "receiver.example"
AS_OF = datetime(2026, 11, 25, 12, tzinfo=UTC)
BODY = b"PK\x03\x04" + bytes(range(256)) * 4000
KEY = Ed25519PrivateKey.generate()
ARCHIVE = UUID(int=7)


def package(chunks: Any = None) -> Package:
    pieces = (BODY[i : i + 65536] for i in range(0, len(BODY), 65536))
    return Package(ARCHIVE, len(BODY), hashlib.sha256(BODY).hexdigest(), pieces if chunks is None else chunks)


@dataclass
class Receiver:
    """Another service on this machine: what it got, and what it answers."""

    status: int = 201
    location: str = ""
    hang_up: bool = False
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @property
    def listed(self) -> TransmissionHost:
        return TransmissionHost(host=NAME, port=self.port, loopback=True)

    def url(self, path: str = "/import?from=us") -> str:
        return f"https://{NAME}:{self.port}{path}"


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """``serve(name=NAME) -> Receiver``: an HTTPS server whose certificate is for that name."""
    servers: list[ThreadingHTTPServer] = []

    def start(name: str = NAME) -> Receiver:
        receiver = Receiver()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if receiver.hang_up:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        pem = certificate(tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        receiver.port = server.server_address[1]
        receiver.trust = ssl.create_default_context(cafile=str(pem))
        return receiver

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def send(receiver: Receiver, **changes: Any) -> Receipt:
    arguments: dict[str, Any] = {
        "url": receiver.url(), "package": package(), "hosts": [receiver.listed], "key": KEY, "key_id": "k1",
        "as_of": AS_OF, "tls": receiver.trust, "resolve": here, **changes,
    }  # fmt: skip
    return transmit(**arguments)


def test_the_package_arrives_whole_and_once(serve: Callable[..., Receiver]) -> None:
    receiver = serve()
    assert send(receiver) == Receipt(NAME, 201)
    ((path, headers, body),) = receiver.requests
    assert (path, body) == ("/import?from=us", BODY)
    assert headers["host"] == f"{NAME}:{receiver.port}"
    assert headers["content-type"] == "application/zip"
    assert headers["idempotency-key"] == str(ARCHIVE)
    assert "transfer-encoding" not in headers


def verify(url: str, headers: dict[str, str], body: bytes) -> None:
    """As a receiver checks it, from RFC 9421 and RFC 9530 alone."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert headers["content-digest"] == f"sha-256=:{digest}:"
    label, _, parameters = headers["signature-input"].partition("=")
    covered = re.findall(r'"([^"]+)"', parameters[: parameters.index(")")])
    assert {"@method", "@target-uri", "content-digest"} <= set(covered)
    values = {"@method": "POST", "@target-uri": url, **headers}
    base = "".join(f'"{name}": {values[name]}\n' for name in covered) + f'"@signature-params": {parameters}'
    signature = base64.b64decode(headers["signature"].removeprefix(f"{label}=:").removesuffix(":"))
    KEY.public_key().verify(signature, base.encode())


def test_the_receiver_can_tell_that_it_is_ours_and_unchanged(serve: Callable[..., Receiver]) -> None:
    receiver = serve()
    send(receiver)
    ((_, headers, body),) = receiver.requests
    verify(receiver.url(), headers, body)
    assert f'created={int(AS_OF.timestamp())};keyid="k1";alg="ed25519"' in headers["signature-input"]
    with pytest.raises(InvalidSignature):
        verify("https://elsewhere.example/", headers, body)
    with pytest.raises(AssertionError):
        verify(receiver.url(), headers, body + b"x")


REFUSED_URLS = {
    "plain http": "http://receiver.example/x",
    "another scheme": "file:///etc/passwd",
    "a host that is not listed": "https://attacker.example/",
    "a listed host on another port": "https://receiver.example:8443/",
    "a listed name as part of another": "https://receiver.example.attacker.example/",
    "a user in front of the host": "https://receiver.example@attacker.example/",
    "credentials": "https://user:hunter2@receiver.example/",
    "an address instead of a name": "https://169.254.169.254/latest/meta-data/",
    "a fragment": "https://receiver.example/#x",
    "a line break": "https://receiver.example/\r\nX: y",
    "a space": "https://receiver.example/a b",
    "a backslash": "https://receiver.example\\@attacker.example/",
    "letters beyond ASCII": "https://receiver.example/ü",
    "no host": "https:///x",
    "a port that is none": "https://receiver.example:99999/",
    "nothing": "",
}


@pytest.mark.parametrize("url", REFUSED_URLS.values(), ids=REFUSED_URLS.keys())
def test_nothing_is_sent_to_any_other_address(url: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"]

    with pytest.raises(TransmissionRefusedError) as refused:
        transmit(url, package(), [TransmissionHost(host=NAME)], KEY, "k", as_of=AS_OF, resolve=resolve)
    assert asked == [], "not even a name is looked up"
    assert "attacker" not in str(refused.value) and "hunter2" not in str(refused.value)


NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::",
    "fe80::1", "fd00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_listed_name_that_leads_inside_is_refused(address: str) -> None:
    for answers in ([address], ["93.184.216.34", address]):
        with pytest.raises(TransmissionRefusedError, match="not public"):
            transmit(
                f"https://{NAME}/", package(), [TransmissionHost(host=NAME)], KEY, "k",
                as_of=AS_OF, resolve=lambda host, port, found=answers: found,
            )  # fmt: skip


def test_a_host_for_tests_may_be_this_machine_and_nothing_else(serve: Callable[..., Receiver]) -> None:
    receiver = serve()
    with pytest.raises(TransmissionRefusedError, match="not public"):
        send(receiver, resolve=lambda host, port: ["93.184.216.34"])
    assert send(receiver, resolve=lambda host, port: ["::ffff:127.0.0.1"]).status == 201


def test_a_name_is_resolved_once_and_that_very_address_is_used(serve: Callable[..., Receiver]) -> None:
    """A name that answers differently the second time (DNS rebinding) gains nothing."""
    receiver, asked = serve(), []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    send(receiver, resolve=resolve)
    assert asked == [(NAME, receiver.port)]


def test_a_certificate_for_another_name_is_refused(serve: Callable[..., Receiver]) -> None:
    receiver = serve("somebody-else.example")
    with pytest.raises(TransmissionRefusedError, match="could not be reached"):
        send(receiver)
    assert receiver.requests == []


def test_an_unknown_authority_is_refused(serve: Callable[..., Receiver]) -> None:
    receiver = serve()
    with pytest.raises(TransmissionRefusedError, match="could not be reached"):
        send(receiver, tls=None)
    assert receiver.requests == []


def test_a_redirect_is_not_followed(serve: Callable[..., Receiver]) -> None:
    receiver, other = serve(), serve()
    receiver.status, receiver.location = 307, other.url()
    with pytest.raises(TransmissionRefusedError, match="redirects"):
        send(receiver)
    assert other.requests == []


@pytest.mark.parametrize("status", [400, 403, 409, 413])
def test_a_refusal_is_told_apart(serve: Callable[..., Receiver], status: int) -> None:
    receiver = serve()
    receiver.status = status
    with pytest.raises(TransmissionRefusedError, match=f"status {status}"):
        send(receiver)


def test_no_answer_after_sending_is_uncertain_not_failed(serve: Callable[..., Receiver]) -> None:
    receiver = serve()
    receiver.hang_up = True
    with pytest.raises(TransmissionUncertainError, match=str(ARCHIVE)):
        send(receiver)
    assert len(receiver.requests) == 1, "it did arrive, and was not sent again"
    receiver.hang_up, receiver.status = False, 503
    with pytest.raises(TransmissionUncertainError, match="status 503"):
        send(receiver)


def test_nobody_there_means_nothing_was_sent(serve: Callable[..., Receiver]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    receiver = Receiver(port=port)
    with pytest.raises(TransmissionRefusedError, match="nothing was sent"):
        send(receiver)


def test_an_archive_that_cannot_be_read_to_its_end_is_not_taken_for_sent(
    serve: Callable[..., Receiver],
) -> None:
    def broken() -> Iterator[bytes]:
        yield BODY[:1000]
        raise ConnectionError("the bucket is gone")

    with pytest.raises(ConnectionError, match="the bucket is gone"):
        send(serve(), package=package(broken()))


def test_proxies_of_the_environment_are_not_used(
    serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(serve()).status == 201


def test_the_shipped_policy_lists_nobody() -> None:
    from tests.archives.support import config

    assert config().policy.transmission_hosts == ()


@pytest.mark.parametrize("host", ["Receiver.example", "receiver.example/", "-x.example", "*.example", ""])
def test_only_plain_names_can_be_listed(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        TransmissionHost(host=host)

"""Time stamps of an authority that is not ours: asked for, checked, and verified by others."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.evidence.timestamps import TimestampError, stamp
from include.tools import verify_evidence as verifier
from tests.tools import authority
from tests.tools.exports import SIGNER, leaves, write

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority.make(tmp_path_factory.mktemp("tsa") / "tsa")


def info(url: str, ca: Path) -> ConnectionInfo:
    return ConnectionInfo("privacy_tsa", "http", extra={"url": url, "ca_pem": ca.read_text()})


def test_a_stamp_is_checked_by_us_and_by_the_verifier(root: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "log", leaves(20), [20])
    [note] = (folder / "checkpoints").iterdir()
    with authority.served(root.parent) as url:
        token = stamp(note.read_bytes(), info(url, root))
    note.with_suffix(".tsr").write_bytes(token)
    when = verifier.verify_timestamp(token, note.read_bytes(), root.read_bytes())
    assert abs((datetime.now(UTC) - when).total_seconds()) < 600
    keys = [verifier.Key.read(SIGNER.verifier_key)]
    result = verifier.verify_export(folder, keys, root.read_bytes())
    assert result.findings == [] and "says the time-stamping authority" in result.notes[0]
    assert "were not checked" in verifier.verify_export(folder, keys).notes[0]

    for changed in (token[:-20] + bytes(20), token.replace(b"Z\x30", b"Z\x31", 1), token[: len(token) // 2]):
        with pytest.raises(verifier.NotVerifiedError):
            verifier.verify_timestamp(changed, note.read_bytes(), root.read_bytes())
    with pytest.raises(verifier.NotVerifiedError, match="something else"):
        verifier.verify_timestamp(token, b"another note", root.read_bytes())


def test_a_stamp_of_an_authority_that_nobody_named_does_not_count(root: Path, tmp_path: Path) -> None:
    other = authority.make(tmp_path / "other")
    with authority.served(root.parent) as url:
        token = stamp(b"note", info(url, root))
        with pytest.raises(TimestampError, match="does not hold"):
            stamp(b"note", info(url, other))
    with pytest.raises(verifier.NotVerifiedError, match="no authority"):
        verifier.verify_timestamp(token, b"note", other.read_bytes())


def test_the_address_is_https_unless_on_this_machine(root: Path) -> None:
    with pytest.raises(UnusableConnectionError, match="https"):
        stamp(b"note", info("http://tsa.example/", root))

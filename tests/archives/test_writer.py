"""The encrypted ZIP: whole, opened by others, closed to a wrong passphrase, written as a stream."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_unzip import IncorrectAESPasswordError

from include.privacy.archives.datapackage import NULL
from include.privacy.archives.portability import csv_lines
from include.privacy.archives.writer import Listing, Member, Rows, new_passphrase, pack
from tests.archives.support import AS_OF, unpack


def packed(members: dict[str, bytes], passphrase: str) -> bytes:
    return b"".join(pack((Member(p, [b]) for p, b in members.items()), passphrase, as_of=AS_OF))


def test_what_goes_in_comes_out() -> None:
    members = {"a.txt": b"alpha", "deep/er/Übung.json": b"[]" * 100_000, "empty": b""}
    passphrase = new_passphrase()
    assert unpack(packed(members, passphrase), passphrase) == members


def test_every_member_is_encrypted_with_aes_256() -> None:
    data = packed({"a.txt": b"the secret text", "b.txt": b"x"}, new_passphrase())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            assert info.flag_bits & 1 and info.compress_type == 99
            # Extra field 0x9901: AE-2, vendor AE, strength 3 = AES-256.
            at = info.extra.index(b"\x01\x99\x07\x00")
            assert info.extra[at + 4 : at + 9] == b"\x02\x00AE\x03"
    assert b"the secret text" not in data


def test_a_wrong_passphrase_opens_nothing() -> None:
    data = packed({"a.txt": b"the secret text"}, new_passphrase())
    with pytest.raises(IncorrectAESPasswordError):
        unpack(data, new_passphrase())


def test_the_same_archive_is_never_encrypted_the_same_way() -> None:
    passphrase = new_passphrase()
    assert packed({"a": b"x"}, passphrase) != packed({"a": b"x"}, passphrase)


def test_a_passphrase_is_long_readable_and_never_the_same() -> None:
    made = {new_passphrase() for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5}-){5}[0-9A-HJKMNP-TV-Z]{5}", p) for p in made)
    used = set("".join(made)) - {"-"}
    assert len(used) == 32, "30 characters of 32: 150 bits"


def test_members_are_made_only_when_they_are_written() -> None:
    asked: list[str] = []

    def members() -> Iterator[Member]:
        for name in ("first", "second"):
            asked.append(name)
            yield Member(name, [bytes(1_000_000)])

    stream = pack(members(), new_passphrase(), as_of=AS_OF)
    next(iter(stream))
    assert asked == ["first"]


def test_what_a_member_raises_comes_through() -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError("the store is gone")

    with pytest.raises(ConnectionError, match="the store is gone"):
        list(pack([Member("a", broken())], new_passphrase(), as_of=AS_OF))


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        list(pack([], new_passphrase(), as_of=datetime(2026, 1, 1)))  # noqa: DTZ001 - that is the point


def test_the_manifest_has_size_and_digest_of_everything_before_it() -> None:
    listing = Listing()
    made = {m.path: b"".join(m.chunks) for m in (
        listing.text("a.txt", "ä"), listing.document("b.json", [1]),
        listing.member("c", iter([b"1", b"2"]), lambda: 2),
    )}  # fmt: skip
    manifest = json.loads(b"".join(listing.manifest("manifest.json", {"right": "access"}).chunks))
    assert manifest["right"] == "access"
    assert [(f["path"], f["bytes"], f["sha256"], f.get("records")) for f in manifest["files"]] == [
        (path, len(body), hashlib.sha256(body).hexdigest(), 2 if path == "c" else None)
        for path, body in made.items()
    ]


def test_two_members_of_one_path_are_a_mistake() -> None:
    listing = Listing()
    list(listing.text("a", "x").chunks)
    with pytest.raises(ValueError, match="already has a member a"):
        listing.text("a", "y")


LINES = st.lists(st.lists(st.integers().map(lambda n: json.dumps({"n": n})), min_size=1), max_size=5)


@given(LINES)
def test_batches_of_rows_make_one_valid_file(batches: list[list[str]]) -> None:
    expected = [json.loads(line) for batch in batches for line in batch]
    array, lines = Rows(), Rows()
    assert json.loads(b"".join(array.array(batches))) == expected
    text = b"".join(lines.lines(batches)).decode()
    assert [json.loads(line) for line in text.splitlines()] == expected
    assert array.count == lines.count == len(expected)


VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(
    lambda text: text != NULL
)


@given(st.lists(st.tuples(VALUES, VALUES)))
def test_csv_restores_every_text_and_tells_nothing_from_empty(
    values: list[tuple[str | None, str | None]],
) -> None:
    rows = Rows()
    data = b"".join(csv_lines(["a", "b"], [values], rows))
    header, *read = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    assert header == ["a", "b"]
    assert [tuple(None if v == NULL else v for v in row) for row in read] == values
    assert rows.count == len(values)


def test_csv_lines_end_as_rfc_4180_says() -> None:
    data = b"".join(csv_lines(["a", "b"], [[("1", 'say "hi"')], [("x,y", "")]], Rows()))
    assert data == b'a,b\r\n1,"say ""hi"""\r\n"x,y",\r\n'

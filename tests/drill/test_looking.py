"""What the drill looks at: archives opened with their passphrase, and what stores say of a field."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from stream_zip import ZIP_64, stream_zip

from include.privacy.drill.looking import ArchiveUnreadableError, not_shown, wrong_stores

AT = datetime(2026, 11, 20, tzinfo=UTC)
FILES = {
    "data/accounts/tickets.json": b'["drillword"]',
    "data/practice/comments.json": b'["somebody else"]',
    "files/user_content/a.png": b"\x89PNG drillword",
    "accounts/drillword.txt": b"drillword in no store",
}
SECRET = "a passphrase of many words"


@pytest.fixture(scope="module")
def link() -> Iterator[str]:
    """An archive behind a link; any other path is gone."""
    members = ((name, AT, 0o600, ZIP_64, [content]) for name, content in FILES.items())
    packed = b"".join(stream_zip(members, password=SECRET))

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/archive" else 410)
            self.end_headers()
            self.wfile.write(packed if self.path == "/archive" else b"")

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/archive"
    server.shutdown()
    server.server_close()


def test_the_archive_shows_the_marker_of_a_store_only_in_that_store_s_own_files(link: str) -> None:
    answer = {"url": link, "passphrase": SECRET}
    assert not_shown(answer, {"accounts": "drillword", "user_content": "drillword"}) == []
    wanted = dict.fromkeys(("accounts", "practice", "stripe", "user_content"), "drillword")
    assert not_shown(answer, wanted) == ["practice", "stripe"]


def test_an_archive_that_does_not_open_is_told_without_link_and_passphrase(link: str) -> None:
    wrong = {"url": link, "passphrase": "another one of many words"}
    with pytest.raises(ArchiveUnreadableError, match="does not open") as first:
        not_shown(wrong, {"accounts": "drillword"})
    gone = {"url": link.replace("archive", "expired"), "passphrase": SECRET}
    with pytest.raises(ArchiveUnreadableError, match="answered 410") as second:
        not_shown(gone, {"accounts": "drillword"})
    nobody = {"url": "http://127.0.0.1:9/archive", "passphrase": SECRET}
    with pytest.raises(ArchiveUnreadableError, match="ConnectError") as third:
        not_shown(nobody, {"accounts": "drillword"})
    for error in (first, second, third):
        assert "127.0.0.1" not in str(error.value) and "passphrase of" not in str(error.value)


def test_a_link_in_plain_text_to_another_machine_is_not_followed() -> None:
    with pytest.raises(ArchiveUnreadableError, match="not https"):
        not_shown({"url": "http://archives.example/a", "passphrase": SECRET}, {"accounts": "drillword"})


def test_a_store_that_says_the_old_value_both_or_nothing_any_more_is_wrong() -> None:
    found = {"accounts": ["new"], "practice": ["new", "old"], "stripe": ["old"]}
    assert wrong_stores(found, "new", ["accounts"]) == ["practice", "stripe"]
    assert wrong_stores({"accounts": ["new"]}, "new", ["accounts", "practice"]) == ["practice"]
    assert wrong_stores({"accounts": ["new", "new"]}, "new", ["accounts"]) == []

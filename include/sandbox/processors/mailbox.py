"""Every mail that a stand-in took over, as ``.eml`` files for any mail program, and pages to read them."""

from __future__ import annotations

import email
import html
import itertools
import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP, default
from email.utils import format_datetime, formataddr, parseaddr, parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.sandbox.world import World

FOLDER = "mailbox"


@dataclass(frozen=True)
class Mail:
    """One mail to one person, as it would have arrived."""

    to: str
    sender: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    message_id: str
    categories: tuple[str, ...]
    custom_args: dict[str, str]
    reply_to: str | None
    at: datetime
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def reference(self) -> str | None:
        """The token under which our side sent it."""
        return self.custom_args.get("reference")


@dataclass(frozen=True)
class Envelope:
    """What differs between the mails of one call: to whom, under which id, with which arguments."""

    to: str
    message_id: str
    custom_args: dict[str, str]


def read_mailbox(world: World) -> list[Mail]:
    """All mail that was accepted in this world, oldest first."""
    return Mailbox(world.folder / FOLDER).read()


def arrivals(
    folder: Path, *, batches: Collection[str] | None = None, subject: str | None = None
) -> Counter[str]:
    """How many mails each address got, from all providers together.

    ``folder``: of the world. ``batches``: only mails under these categories (tags); ``subject``: only those
    with exactly this one. Reads headers only.
    """
    parser, counted = BytesHeaderParser(), Counter[str]()  # the old policy, which is much faster
    for path in (folder / FOLDER).glob("*.eml"):
        with path.open("rb") as file:
            headers = parser.parse(file)
        under = batches is None or set(headers.get_all("X-Category", [])) & set(batches)
        if under and subject in (None, str(make_header(decode_header(headers["Subject"])))):
            counted[headers["To"].lower()] += 1
    return counted


@cache
def shared_mailbox(folder: Path) -> Mailbox:
    """The one of this process for that folder: all who write into it must number together."""
    return Mailbox(folder)


class Mailbox:
    """A folder of mails. One process writes, through one object; others may read at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._numbers = itertools.count(len(list(folder.glob("*.eml"))) + 1)

    def put(
        self,
        envelopes: Sequence[Envelope],
        *,
        sender: tuple[str, str],
        subject: str,
        parts: dict[str, str],
        at: datetime,
        call_id: str | None = None,
        categories: Sequence[str] = (),
        reply_to: str | None = None,
    ) -> None:
        """Store one mail for each envelope; ``parts`` is content by MIME type, plain text first.

        ``call_id``: the provider's id of the call, where it gives none to each mail. The mail is made once,
        with a mark where each envelope puts its own headers.
        """
        mark = secrets.token_hex(8)
        message = EmailMessage()
        message["From"] = formataddr(sender)
        message["Subject"] = subject
        message["Date"] = format_datetime(at)
        for name in categories:
            message["X-Category"] = name
        if reply_to:
            message["Reply-To"] = reply_to
        message["X-Mark"] = mark
        for number, (kind, content) in enumerate(parts.items()):
            subtype = kind.partition("/")[2] or "plain"
            if number == 0:
                message.set_content(content, subtype=subtype, charset="utf-8")
            else:
                message.add_alternative(content, subtype=subtype, charset="utf-8")
        before, after = message.as_bytes(policy=SMTP).split(f"X-Mark: {mark}\r\n".encode(), 1)
        with self._lock:
            for envelope in envelopes:
                self._write(before + _own(envelope, call_id) + after)

    def _write(self, content: bytes) -> None:
        path = self.folder / f"{next(self._numbers):06d}.eml"
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        draft.replace(path)

    def read(self) -> list[Mail]:
        """All of them, oldest first."""
        return [_mail(path) for path in sorted(self.folder.glob("*.eml"))]

    def page(self, path: str) -> str | None:
        """The list at ``/`` and each mail at ``/mail/<number>``; nothing elsewhere."""
        if path == "/":
            return _listing(self.read())
        number = path.removeprefix("/mail/")
        found = self.folder / f"{number}.eml"
        return _reading(_mail(found)) if number.isdigit() and found.is_file() else None


def _own(envelope: Envelope, call_id: str | None) -> bytes:
    """The headers of one mail. JSON may be long, and is folded where it has spaces."""
    arguments = json.dumps(envelope.custom_args).replace(" ", "\r\n ")
    lines = f"To: {envelope.to}\r\nMessage-ID: <{envelope.message_id}@stand-in.invalid>\r\n"
    lines += f"X-Message-Id: {call_id or envelope.message_id}\r\n"
    return (lines + f"X-Custom-Args: {arguments}\r\n").encode()


def _mail(path: Path) -> Mail:
    message: Any = email.message_from_bytes(path.read_bytes(), policy=default)
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    return Mail(
        to=parseaddr(message["To"])[1],
        sender=parseaddr(message["From"])[1],
        subject=str(message["Subject"]),
        text=_content(plain),
        html=_content(rich),
        message_id=str(message["X-Message-Id"]),
        categories=tuple(map(str, message.get_all("X-Category", []))),
        custom_args=json.loads(str(message["X-Custom-Args"])),
        reply_to=parseaddr(message["Reply-To"])[1] if message["Reply-To"] else None,
        at=parsedate_to_datetime(str(message["Date"])),
        headers={name: str(value) for name, value in message.items()},
    )


def _content(part: Any) -> str:
    """A part as it was given: mail has line ends of its own."""
    return str(part.get_content()).replace("\r\n", "\n") if part else ""


_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mailbox</title>'
    "<style>body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem;border-bottom:1px solid}"
    "iframe{width:100%;height:40rem;border:1px solid}pre{white-space:pre-wrap}</style>"
)


def _listing(mails: list[Mail]) -> str:
    rows = "".join(
        f"<tr><td>{mail.at:%Y-%m-%d %H:%M:%S}<td>{html.escape(mail.to)}"
        f'<td><a href="/mail/{number:06d}">{html.escape(mail.subject)}</a>'
        for number, mail in reversed(list(enumerate(mails, start=1)))
    )
    return f"{_HEAD}<h1>Mailbox</h1><p>{len(mails)} mails<table><tr><th>At<th>To<th>Subject{rows}</table>"


def _reading(mail: Mail) -> str:
    # The frame has no rights at all: what a letter would load or run is not loaded or run here either.
    facts = "".join(f"{html.escape(n)}: {html.escape(v)}\n" for n, v in mail.headers.items())
    return (
        f'{_HEAD}<p><a href="/">All</a><h1>{html.escape(mail.subject)}</h1><pre>{facts}</pre>'
        f'<h2>HTML</h2><iframe sandbox title="HTML" srcdoc="{html.escape(mail.html)}"></iframe>'
        f"<h2>Text</h2><pre>{html.escape(mail.text)}</pre>"
    )

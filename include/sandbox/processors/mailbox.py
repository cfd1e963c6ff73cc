"""Every mail that a stand-in took over, as ``.eml`` files for any mail program, and pages to read them."""

from __future__ import annotations

import email
import html
import itertools
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime, formataddr, parseaddr, parsedate_to_datetime
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


def read_mailbox(world: World) -> list[Mail]:
    """All mail that was accepted in this world, oldest first."""
    return Mailbox(world.folder / FOLDER).read()


class Mailbox:
    """A folder of mails. One process writes; others may read at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._numbers = itertools.count(len(list(folder.glob("*.eml"))) + 1)

    def put(
        self,
        *,
        to: str,
        sender: tuple[str, str],
        subject: str,
        parts: dict[str, str],
        message_id: str,
        at: datetime,
        extra: list[tuple[str, str]],
    ) -> None:
        """Store one mail; ``parts`` is content by MIME type, plain text first."""
        message = EmailMessage()
        message["From"] = formataddr(sender)
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{message_id}@stand-in.invalid>"
        for name, value in extra:
            message[name] = value
        for number, (kind, content) in enumerate(parts.items()):
            subtype = kind.partition("/")[2] or "plain"
            if number == 0:
                message.set_content(content, subtype=subtype, charset="utf-8")
            else:
                message.add_alternative(content, subtype=subtype, charset="utf-8")
        with self._lock:
            path = self.folder / f"{next(self._numbers):06d}.eml"
            draft = path.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_bytes(message.as_bytes(policy=SMTP))
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

"""One request of each right in the demo: the clicks, and the proof without the engine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.request import urlopen

import psycopg
from stream_unzip import stream_unzip

from include.sandbox.objects import sqs_client
from include.sandbox.platform import jobs
from include.sandbox.platform.app import Right, open_request
from include.sandbox.processors.mailbox import Mail, read_mailbox
from include.sandbox.verify import Check
from include.sandbox.world import World

CORRECTED = {"full_name": "Ottilie Windermere", "email": "ottilie.windermere@example.org"}
OPTIONAL = "personalize.content"


@dataclass(frozen=True)
class Asked:
    """A request, and how it must end. ``story``: what the person did, in words."""

    external_id: str
    right: Right
    account: int
    story: str
    ends: frozenset[str] = field(default=frozenset({"completed", "completed_with_retention"}))


_ERASED = frozenset({"completed", "completed_with_retention", "awaiting_recipients"})
"""PayPal decides for itself, and Stripe redacts young charges later: such a request stays open."""


def ask(world: World, erased: list[int], held: int, others: list[int], as_of: datetime) -> list[Asked]:
    """The clicks: a row in the platform's inbox, and a doorbell with nothing but the request's id.

    ``others``: five active people who stay.
    """
    sqs, asked = sqs_client(world.s3_endpoint), []
    seeing, taking, correcting, objecting, writing = others
    long_ago = as_of - timedelta(days=60)
    clicks: list[tuple[Right, int, str, dict[str, Any], frozenset[str] | None]] = [
        *(("erasure", each, "clicked “delete my account and data”", {}, _ERASED) for each in erased),
        (
            "erasure",
            held,
            "under legal hold, clicked “delete my account and data”",
            {},
            frozenset({"on_hold"}),
        ),
        ("access", seeing, "clicked “show me everything you hold”", {}, None),
        ("portability", taking, "clicked “let me take my data along”", {}, None),
        ("rectification", correcting, "corrected name and address", {"corrections": CORRECTED}, None),
        ("objection", objecting, "objected to recommendations", {"purposes": [OPTIONAL]}, None),
        (
            "access",
            writing,
            "wrote a letter 60 days ago and never proved who it was",
            {},
            frozenset({"refused"}),
        ),
    ]
    with psycopg.connect(world.env["PLATFORM_ACCOUNTS_DSN"]) as accounts:
        for right, account, story, details, ends in clicks:
            by_letter = account == writing
            request = open_request(
                accounts, sqs, world.queue_url, account, right,
                channel="letter" if by_letter else "app",
                session=not by_letter,
                details=details,
                at=long_ago if by_letter else None,
            )  # fmt: skip
            more = {"ends": ends} if ends else {}
            asked.append(Asked(request, right, account, story, **more))
    return asked


def check(world: World, asked: list[Asked]) -> list[Check]:
    """Whether each person got what they asked for, by plain SQL, the link, the passphrase and the mailbox."""
    answers, mailbox = _answers(world), read_mailbox(world)
    checks: list[Check] = []
    for each in asked:
        letters = [mail for mail in mailbox if each.external_id in mail.text]
        found = _of(world, each, answers.get(each.external_id, {}), letters)
        checks += [Check(_PROMISE[each.right], statement, holds) for statement, holds in found.items()]
    written = {a.external_id for a in asked if any(a.external_id in mail.text for mail in mailbox)}
    statement = f"all {len(asked)} people got their letters by e-mail"
    checks.append(Check("P6.6", statement, len(written) == len(asked), f"{len(written)}"))
    return checks


_PROMISE: Mapping[Right, str] = {
    "access": "P6.1",
    "rectification": "P6.2",
    "erasure": "P6.3",
    "portability": "P6.4",
    "objection": "P6.5",
}


def _of(world: World, asked: Asked, answers: Mapping[str, Any], letters: list[Mail]) -> dict[str, bool]:
    if "on_hold" in asked.ends:
        return {"whoever is under legal hold is not erased by their request": _exists(world, asked.account)}
    if "refused" in asked.ends:
        told = any("datenschutz-berlin.de" in mail.text for mail in letters[-1:])
        refused = "access_refused" in answers and "access_ready" not in answers
        return {"whoever did not prove who they are was refused, with the remedies": told and refused}
    if asked.right not in _PROOFS:
        return {}
    statement, proof = _PROOFS[asked.right]
    return {statement: proof(world, asked, answers)}


def _answers(world: World) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with psycopg.connect(world.dsn("accounts")) as accounts:
        for request, kind, body in accounts.execute(
            "SELECT request_id::text, kind, body FROM privacy_outbox"
        ):
            found.setdefault(request, {})[kind] = body
    return found


def _files(answer: Mapping[str, Any]) -> dict[str, bytes]:
    """What somebody gets who follows the link and types the passphrase."""
    with urlopen(answer["url"], timeout=60) as download:  # noqa: S310 - the link that our own S3 signed
        packed = download.read()
    members = stream_unzip([packed], password=answer["passphrase"].encode())
    return {name.decode(): b"".join(chunks) for name, _, chunks in members}


def _archive(world: World, asked: Asked, answers: Mapping[str, Any]) -> bool:
    if "access_ready" not in answers:
        return False
    files = _files(answers["access_ready"])
    (account,) = json.loads(files["data/accounts/accounts.json"])
    attempts = len(json.loads(files.get("data/practice/attempts.json", b"[]")))
    whole = attempts == _attempts(world, asked.account) and "index.html" in files
    whole &= any(name.startswith("data/stripe/") for name in files)
    return whole and account["id"] == asked.account


def _package(world: World, asked: Asked, answers: Mapping[str, Any]) -> bool:
    if "portability_ready" not in answers:
        return False
    files = _files(answers["portability_ready"])
    rows = list(csv.reader(io.StringIO(files["data/practice/attempts.csv"].decode())))
    inferred = any("recommendations" in name for name in files)
    return len(rows) - 1 == _attempts(world, asked.account) and not inferred and "datapackage.json" in files


def _corrected(world: World, asked: Asked, answers: Mapping[str, Any]) -> bool:
    name, email = CORRECTED["full_name"], CORRECTED["email"]
    with psycopg.connect(world.dsn("accounts")) as accounts:
        now = accounts.execute("SELECT full_name, email FROM accounts WHERE id = %s", [asked.account])
        old = accounts.execute(
            "SELECT FROM account_audit WHERE account_id = %s AND old_email <> %s", [asked.account, email]
        )
        right = now.fetchone() == (name, email) and old.fetchone() is None
    with psycopg.connect(world.dsn("practice")) as practice:
        setting = practice.execute(
            "SELECT coalesce(settings ->> 'notification_email', %s) FROM learners WHERE account_id = %s",
            [email, asked.account],
        )
        return right and setting.fetchone() == (email,) and "rectification_completed" in answers


def _unseen(world: World, asked: Asked, answers: Mapping[str, Any]) -> bool:
    with psycopg.connect(world.dsn("practice", jobs.RECOMMENDER)) as practice:
        seen = jobs.recommend(practice)
    return bool(seen) and asked.account not in seen and "objection_decided" in answers


_PROOFS: Mapping[str, tuple[str, Callable[[World, Asked, Mapping[str, Any]], bool]]] = {
    "access": ("the access archive opens: every attempt that SQL counts, and what Stripe has", _archive),
    "portability": ("the portability package opens; its CSV has the rows, nothing inferred", _package),
    "rectification": ("the corrected address is in both databases, the old one in neither", _corrected),
    "objection": ("the platform's recommendation job no longer sees who objected", _unseen),
}


def _attempts(world: World, account: int) -> int:
    with psycopg.connect(world.dsn("practice")) as practice:
        row = practice.execute("SELECT count(*) FROM attempts WHERE learner_id = %s", [account]).fetchone()
    return int(row[0]) if row else 0


def _exists(world: World, account: int) -> bool:
    with psycopg.connect(world.dsn("accounts")) as accounts:
        return accounts.execute("SELECT 1 FROM accounts WHERE id = %s", [account]).fetchone() is not None

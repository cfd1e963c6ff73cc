"""The synthetic person of a drill: who that is follows from the drill's id, so that nothing need be kept."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from uuid import UUID

from include.sandbox.platform.people import Marker, Person
from include.sandbox.processors import sendgrid_people

FIRST_ACCOUNT, FIRST_INDEX, STEP = 920_000_000, 300_000_000, 40
"""Far above everybody else, so that no sequence of the platform's ever comes there."""
_ROOM = 1_000_000
_REACHED_BY_POSTMARK, _DELIVERED_BY_SENDGRID = 10, 10
"""Shares below the first have letters that were opened; those below the second are on a list of bounces."""


def marker(reference: str) -> Marker:
    """Name, addresses and words that nobody else has. The domain is reserved: no letter ever arrives."""
    number = _number(reference)
    account, letters = FIRST_ACCOUNT + number, _letters(number)
    local = f"drill.{letters}@drill.example"
    return Marker(
        account_id=account,
        full_name=f"Drillperson {letters.capitalize()}",
        emails=(local, f"former.{local}"),
        ips=("203.0.113.199", "2001:db8:7e57:d::71"),
        texts=(f"drillword-{letters}",),
        identifiers=(
            f"cus_drill{account}",
            f"sub_drill{account}",
            str(UUID(int=account << 64 | 0x4000 << 48 | 0x8000 << 48 | 0xD)),
            f"fp-marker-{account}",
        ),
    )


def person(found: Marker, as_of: datetime) -> Person:
    """As the rows of the platform are made from: a hundred days a customer, active an hour ago."""
    return Person(
        index=FIRST_INDEX + STEP * (found.account_id - FIRST_ACCOUNT),
        id=found.account_id,
        public_id=UUID(found.identifiers[2]),
        email=found.emails[0],
        full_name=found.full_name,
        status="active",
        state="drill",
        created_at=as_of - timedelta(days=100),
        service_ended_at=None,
        deleted_at=None,
        active_until=as_of - timedelta(hours=1),
        ip=found.ips[0],
        locale="en",
        time_zone="Europe/Dublin",
        country="IE",
        former_emails=found.emails[1:2],
        marker=found,
    )


def corrections(found: Marker) -> dict[str, str]:
    """What the person asks to have corrected: a name in each database, and the address."""
    letters = found.full_name.split()[1].lower()
    return {
        "full_name": f"{found.full_name} Corrected",
        "display_name": f"drillperson-{letters}",
        "email": f"corrected.{found.emails[0]}",
    }


def pattern(found: Marker, *, ids: bool = True) -> str:
    """A regular expression, for Python and PostgreSQL, of all that must not be found after an erasure.

    ``ids``: the account's id too. Processors keep ids of theirs that are made of it and lead to nobody.
    """
    # The first address is the end of the others. A bytea shows itself in hexadecimal.
    word, display = found.texts[0], corrections(found)["display_name"]
    words = [re.escape(w) for w in (found.full_name, display, found.emails[0], word)]
    words.append(word.encode().hex())
    return "|".join([*words, f"(^|[^0-9]){found.account_id}([^0-9]|$)"] if ids else words)


def _number(reference: str) -> int:
    digest = int(hashlib.sha256(reference.encode()).hexdigest()[:12], 16)
    number = digest % _ROOM
    while not _fit(FIRST_ACCOUNT + number):
        number = (number + 1) % _ROOM
    return number


def _fit(account: int) -> bool:
    """Whether Postmark's stand-in has letters to the person, and SendGrid's would deliver one."""
    digest = hashlib.sha256(f"postmark {account}".encode()).hexdigest()
    reached = int(digest[:8], 16) % 100 < _REACHED_BY_POSTMARK
    return reached and sendgrid_people.share({"account_id": account}) >= _DELIVERED_BY_SENDGRID


def _letters(number: int) -> str:
    """The number in letters: a name has no digits."""
    return "".join(chr(ord("a") + number // 26**n % 26) for n in range(5))

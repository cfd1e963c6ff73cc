"""The people of the platform: who they are and where they stand on the retention clock.

Everything follows from ``(index, seed, as_of)`` by arithmetic: the same call gives the same people,
on any machine, in any number, without holding them in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

FIRST_ACCOUNT_ID = 101
"""Low, so that one account's id is the beginning of another's (101, 1010): a prefix trap for buckets."""

MARKER_ACCOUNT_IDS = (910_000_019, 910_000_027)
SMALLEST_PLATFORM = 30
"""People needed to have every state of the clock and the two markers."""

_MASK = (1 << 64) - 1
_GIVEN = (
    "Ada", "Amir", "Anaïs", "Björn", "Chiara", "Dmitri", "Elif", "Fatima", "Gustav", "Hana", "Ines",
    "Jonas", "Kwame", "Lena", "Mateo", "Nadia", "Oksana", "Pedro", "Quynh", "Rosa", "Søren", "Tariq",
    "Uma", "Viktor", "Wanjiru", "Xenia", "Yuki", "Zoë",
)  # fmt: skip
_FAMILY = (
    "Abebe", "Bauer", "Castillo", "Dubois", "Eriksen", "Farouk", "García", "Haddad", "Ivanova", "Jansen",
    "Kowalski", "Lindqvist", "Mbeki", "Nakamura", "O'Neill", "Papadopoulos", "Quispe", "Rossi", "Schäfer",
    "Takahashi", "Ursu", "Vargas", "Wójcik", "Xu", "Yılmaz", "Zimmermann",
)  # fmt: skip
_DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")
_LOCALES = (("de", "Europe/Berlin", "DE"), ("en", "Europe/Dublin", "IE"), ("fr", "Europe/Paris", "FR"),
            ("es", "Europe/Madrid", "ES"), ("pl", "Europe/Warsaw", "PL"))  # fmt: skip


def pick(seed: int, index: int, salt: int, choices: int) -> int:
    """A number below ``choices``, always the same for the same arguments (splitmix64)."""
    x = (index * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + seed * 0x2545F4914F6CDD1D) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return int((x ^ (x >> 31)) % choices)


@dataclass(frozen=True, slots=True)
class Marker:
    """A person whose traces can be mistaken for nothing else: what a residue test searches for."""

    account_id: int
    full_name: str
    emails: tuple[str, ...]
    ips: tuple[str, ...]
    texts: tuple[str, ...]
    """Words in every free text of theirs."""
    identifiers: tuple[str, ...]
    """Ids at gateways, public id, device fingerprint."""

    @property
    def needles(self) -> tuple[str, ...]:
        """Every string that must not be found after an erasure."""
        return (str(self.account_id), self.full_name, *self.emails, *self.ips, *self.texts, *self.identifiers)


def _marker(number: int, given: str, family: str, word: str) -> Marker:
    account_id = MARKER_ACCOUNT_IDS[number]
    local = f"{given}.{family}".lower()
    return Marker(
        account_id=account_id,
        full_name=f"{given} {family}",
        emails=(f"{local}@residue-marker.example", f"{local}.former@residue-marker.example"),
        ips=(f"203.0.113.{71 + number}", f"2001:db8:7e57:{number + 1}::71"),
        texts=(word,),
        identifiers=(
            f"cus_marker{account_id}",
            f"sub_marker{account_id}",
            str(UUID(int=account_id << 64 | 0x4000 << 48 | 0x8000 << 48 | number)),
            f"fp-marker-{account_id}",
        ),
    )


MARKERS = (
    _marker(0, "Zdenka", "Quillfeather", "xylorimba-residue-alpha"),
    _marker(1, "Thaddeus", "Brackenthwaite", "quokka-residue-omega"),
)
"""The first is deleted long enough ago to be purged; the second is active and may ask for erasure."""


@dataclass(frozen=True, slots=True)
class Person:
    """One account with what the other tables need to know of it. All times are UTC."""

    index: int
    id: int
    public_id: UUID
    email: str
    full_name: str
    status: str
    state: str
    """Where the person stands on the clock; the keys of ``SeedReport.states``."""
    created_at: datetime
    service_ended_at: datetime | None
    deleted_at: datetime | None
    active_until: datetime
    ip: str
    locale: str
    time_zone: str
    country: str
    former_emails: tuple[str, ...] = ()
    referred_by: int | None = None
    marker: Marker | None = None


# (state, days since service ended, days since deleted); exactly on the instant, so that a rule that
# is off by one in either direction is seen.
_BOUNDARIES: tuple[tuple[str, int | None, int | None], ...] = (
    ("ended_29_days", 29, None),
    ("ended_30_days", 30, None),
    ("ended_31_days", 31, None),
    ("deleted_29_days", 59, 29),
    ("deleted_30_days", 60, 30),
    ("deleted_31_days", 61, 31),
    ("deleted_89_days", 119, 89),
    # deleted by the person's own click, with no service end before it
    ("deleted_by_click_31_days", None, 31),
)
_OVERDUE: tuple[tuple[str, int | None, int | None], ...] = (
    ("deleted_90_days", 120, 90),
    ("deleted_91_days", 121, 91),
    ("deleted_200_days", 230, 200),
    # nobody marked it: due for deletion and for the purge in one run
    ("ended_65_days", 65, None),
)
_BAD_CLOCKS = ("deleted_without_instant", "deleted_in_the_future")


def generate_people(
    count: int, *, seed: int, as_of: datetime, overdue: bool = False, bad_clocks: bool = False
) -> Iterator[Person]:
    """``count`` people: first those on the boundaries, then the crowd, the two markers last.

    About 1.5 % of the crowd are due for the purge. ``overdue`` adds people past their limit,
    ``bad_clocks`` a deleted account without instant and one deleted in the future.
    """
    if count < SMALLEST_PLATFORM:
        raise ValueError(
            f"people={count}: at least {SMALLEST_PLATFORM} are needed for every state of the clock"
        )
    if as_of.utcoffset() != timedelta(0):
        raise ValueError("as_of must be timezone-aware UTC")
    special = _BOUNDARIES + (_OVERDUE if overdue else ())
    odd = _BAD_CLOCKS if bad_clocks else ()
    for index in range(count):
        marker = MARKERS[index - (count - len(MARKERS))] if index >= count - len(MARKERS) else None
        if marker is not None:
            yield _marked(index, marker, as_of)
        elif index < len(special):
            state, ended, deleted = special[index]
            yield _person(index, seed, as_of, state, _ago(as_of, ended), _ago(as_of, deleted))
        elif index < len(special) + len(odd):
            yield _odd(index, seed, as_of, odd[index - len(special)])
        else:
            yield _person(index, seed, as_of, *_crowd(index, seed, as_of))


def _ago(as_of: datetime, days: int | None) -> datetime | None:
    return None if days is None else as_of - timedelta(days=days)


def _crowd(index: int, seed: int, as_of: datetime) -> tuple[str, datetime | None, datetime | None]:
    share = (index * 7919) % 1000  # a permutation: the shares are exact in every thousand
    hours = pick(seed, index, 1, 24 * 27)
    if share < 15:
        deleted = as_of - timedelta(days=32 + pick(seed, index, 2, 50), hours=hours % 24)
        return "purge_due", deleted - timedelta(days=30), deleted
    if share < 25:
        deleted = as_of - timedelta(days=1, hours=hours)
        return "deleted_recently", deleted - timedelta(days=30), deleted
    if share < 40:
        return "ended_recently", as_of - timedelta(days=1, hours=hours), None
    if share < 45:
        return "deletion_due", as_of - timedelta(days=31, hours=hours % 96), None
    return ("suspended" if share < 50 else "active"), None, None


def _person(
    index: int, seed: int, as_of: datetime, state: str, ended: datetime | None, deleted: datetime | None
) -> Person:
    given = _GIVEN[pick(seed, index, 3, len(_GIVEN))]
    family = _FAMILY[pick(seed, index, 4, len(_FAMILY))]
    local = "".join(c for c in f"{given}.{family}".lower() if c.isascii() and (c.isalpha() or c == "."))
    local = f"{local}{index}"
    locale, zone, country = _LOCALES[pick(seed, index, 5, len(_LOCALES))]
    created = as_of - timedelta(days=300 + pick(seed, index, 6, 600), minutes=pick(seed, index, 7, 1440))
    last = min(x for x in (ended, deleted, as_of - timedelta(minutes=pick(seed, index, 8, 60 * 24 * 6))) if x)
    status = "deleted" if deleted else "ended" if ended else "suspended" if state == "suspended" else "active"
    ip = pick(seed, index, 9, 1 << 16)
    former = (f"{local}.old@{_DOMAINS[4]}",) if pick(seed, index, 10, 100) < 15 else ()
    return Person(
        index=index,
        id=FIRST_ACCOUNT_ID + index,
        public_id=UUID(int=(pick(seed, index, 11, 1 << 62) << 64 | FIRST_ACCOUNT_ID + index), version=4),
        email=f"{local}@{_DOMAINS[pick(seed, index, 12, len(_DOMAINS))]}",
        full_name=f"{given} {family}",
        status=status,
        state=state,
        created_at=created,
        service_ended_at=ended,
        deleted_at=deleted,
        active_until=last,
        ip=f"2001:db8:1::{ip:x}" if index % 4 == 0 else f"100.64.{ip >> 8}.{ip & 255}",
        locale=locale,
        time_zone=zone,
        country=country,
        former_emails=former,
        # somebody who was there before; the first few people were sent by the markers
        referred_by=(MARKER_ACCOUNT_IDS[index % 2] if 20 <= index < 24 else FIRST_ACCOUNT_ID + index // 2)
        if index > 0 and (20 <= index < 24 or index % 5 == 0)
        else None,
    )


def _odd(index: int, seed: int, as_of: datetime, state: str) -> Person:
    if state == "deleted_without_instant":
        base = _person(index, seed, as_of, state, as_of - timedelta(days=100), as_of - timedelta(days=70))
        return replace(base, deleted_at=None)
    base = _person(index, seed, as_of, state, as_of - timedelta(days=40), as_of - timedelta(days=40))
    return replace(base, deleted_at=as_of + timedelta(days=365))


def _marked(index: int, marker: Marker, as_of: datetime) -> Person:
    due = marker is MARKERS[0]
    deleted = as_of - timedelta(days=40) if due else None
    return Person(
        index=index,
        id=marker.account_id,
        public_id=UUID(marker.identifiers[2]),
        email=marker.emails[0],
        full_name=marker.full_name,
        status="deleted" if due else "active",
        state="marker_purge_due" if due else "marker_active",
        created_at=as_of - timedelta(days=500),
        service_ended_at=deleted,
        deleted_at=deleted,
        active_until=deleted or as_of - timedelta(hours=1),
        ip=marker.ips[0],
        locale="en",
        time_zone="Europe/Dublin",
        country="IE",
        former_emails=marker.emails[1:],
        referred_by=FIRST_ACCOUNT_ID,
        marker=marker,
    )

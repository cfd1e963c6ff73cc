"""What looks personal is recognised wherever it stands, and what does not is left alone."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from include.privacy.detection.patterns import card_shaped, label, looks
from include.privacy.detection.tally import Tally
from include.privacy.policy.looks import CATEGORIES, WORDS, Kind

WORD = st.text(string.ascii_lowercase, min_size=2, max_size=9)
AROUND = st.sampled_from(["{}", "see {}", "{}; more", "<{}>", '"{}"', "a\t{}\nb"])


def card(prefix: str, length: int, digits: str) -> str:
    body = (prefix + digits)[: length - 1]
    return body + luhn.calc_check_digit(body)


CARDS = st.builds(
    card,
    st.sampled_from(["4", "51", "55", "2221", "2720", "6011", "65"]),
    st.just(16),
    st.text(string.digits, min_size=16, max_size=16),
) | st.builds(
    card, st.sampled_from(["34", "37"]), st.just(15), st.text(string.digits, min_size=16, max_size=16)
)


@st.composite
def german_ibans(draw: st.DrawFn) -> str:
    account = draw(st.text(string.digits, min_size=18, max_size=18))
    check = mod_97_10.calc_check_digits(account + "DE")
    return f"DE{check}{account}"


@given(WORD, WORD, st.sampled_from(["org", "example", "co.uk", "museum"]), AROUND)
def test_addresses_are_found(local: str, domain: str, top: str, around: str) -> None:
    assert Kind.email in looks(around.format(f"{local}.{local}+x@{domain}.{top}"))


@given(st.integers(1, 2**32 - 1).map(IPv4Address) | st.integers(2**80, 2**128 - 1).map(IPv6Address), AROUND)
def test_addresses_of_machines_are_found(address: IPv4Address | IPv6Address, around: str) -> None:
    nobody = address.is_loopback or address.is_unspecified or address.is_multicast
    assert (Kind.ip in looks(around.format(address))) is not nobody


@given(
    st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.sampled_from(["E164", "INTERNATIONAL"]),
    AROUND,
)
def test_telephone_numbers_of_every_country_are_found(region: str, form: str, around: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    number = number or phonenumbers.example_number(region)
    written = phonenumbers.format_number(number, getattr(phonenumbers.PhoneNumberFormat, form))
    assert Kind.phone in looks(around.format(written))
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    if len([c for c in national if c.isdigit()]) >= 7 and "*" not in national:
        assert Kind.phone in looks(national, "mobile_number")


@given(CARDS, st.sampled_from(["", " ", "-"]), AROUND)
def test_card_numbers_are_found_and_with_another_check_digit_are_not(
    digits: str, gap: str, around: str
) -> None:
    written = gap.join(digits[i : i + 4] for i in range(0, len(digits), 4))
    assert Kind.card in looks(around.format(written))
    wrong = written[:-1] + str((int(written[-1]) + 1) % 10)
    assert Kind.card not in looks(around.format(wrong))
    assert card_shaped(around.format(wrong))


@given(german_ibans(), st.booleans(), AROUND)
def test_ibans_are_found_and_with_another_digit_are_not(iban: str, grouped: bool, around: str) -> None:
    written = " ".join(iban[i : i + 4] for i in range(0, len(iban), 4)) if grouped else iban
    assert Kind.iban in looks(around.format(written))
    wrong = written[:-1] + str((int(written[-1]) + 1) % 10)
    assert Kind.iban not in looks(around.format(wrong))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("$2b$12$" + "a" * 53, Kind.password),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", Kind.password),
        ("pbkdf2_sha256$600000$salt$hash", Kind.password),
        ("$6$rounds=5000$saltsalt$" + "b" * 40, Kind.password),
        ("{SSHA}" + "c" * 28, Kind.password),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", Kind.token),
        ("sk_" + "live_" + "x" * 24, Kind.token),
        ("AKIA" + "ABCDEFGH12345678", Kind.token),
        ("ghp_" + "a" * 36, Kind.token),
        ("-----BEGIN EC " + "PRIVATE KEY-----", Kind.token),
        ("cus_Nffrfeuf73", Kind.gateway_id),
        ("I-BW452GLLEP1G", Kind.gateway_id),
        ("The third bar was late again, please count aloud.", Kind.free_text),
        ("この小節はいつも遅れてしまいますので声に出して数えます", Kind.free_text),
    ],
)
def test_secrets_ids_and_sentences_are_found(value: str, kind: Kind) -> None:
    assert kind in looks(value)


@pytest.mark.parametrize(
    ("value", "name", "kind"),
    [
        ("Ada Lovelace", "fullName", Kind.name),
        ("O'Neill", "last_name", Kind.name),
        ("Jean-Luc Godard", "billing_name", Kind.name),
        ("hunter2!", "password", Kind.password),
        ("0f3a9c1b7d2e4f60", "session_token", Kind.token),
    ],
)
def test_what_only_its_label_tells_is_found_under_the_label_alone(value: str, name: str, kind: Kind) -> None:
    assert kind in looks(value, name)
    assert kind not in looks(value, "label")


@given(
    WORD
    | st.integers(-(2**31), 2**31).map(str)
    | st.floats(allow_nan=False).map(str)
    | st.uuids().map(str)
    | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    | st.builds("{}-{}".format, WORD, st.integers(0, 10**6))
    | st.builds("{}.{}.{}".format, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
    | st.binary(min_size=16, max_size=32).map(bytes.hex)
)
def test_words_numbers_dates_versions_and_digests_are_left_alone(value: str) -> None:
    assert looks(value, "code") - {Kind.card} == frozenset()


@pytest.mark.parametrize(
    "value",
    ["logo@2x.png", "203.0.113.0/24", "127.0.0.1", "::1", "12:34:56", "1.2.3.4.5", "aa:bb:cc:dd:ee:ff",
     "4.2.1-b", "+1", "4111111111111112", "DE00370400440532013000", "Basic Plan", "https://example.org/a/b"],
)  # fmt: skip
def test_what_only_resembles_is_left_alone(value: str) -> None:
    assert looks(value, "title") == frozenset()


@given(st.text(max_size=200), st.text(max_size=20))
def test_no_text_is_too_strange(value: str, name: str) -> None:
    assert looks(value, name) <= set(Kind)


def test_labels_are_words_however_they_are_written() -> None:
    assert {label(n) for n in ("userName", "User-Name", "user name", "USER_NAME")} == {"user_name"}
    assert CATEGORIES.keys() == set(Kind) == WORDS.keys()


def test_a_column_is_told_by_share_and_number() -> None:
    tally = Tally()
    for n in range(100):
        tally.add(f"somebody{n}@example.org" if n < 4 else f"item {n}")
    assert tally.kinds(0.05, 3) == {}, "four in a hundred are below the share"
    tally.add("somebody@example.org")
    tally.add("nobody@example.org")
    assert tally.kinds(0.05, 3) == {Kind.email: 6}
    assert tally.kinds(0.05, 7) == {}


def test_numbers_of_sixteen_digits_are_no_cards_because_one_in_ten_passes() -> None:
    tally = Tally()
    for n in range(1000):
        tally.add(str(4_000_000_000_000_000 + n))
    assert tally.found[Kind.card] == 100
    assert tally.kinds(0.05, 3) == {}


def test_a_document_is_one_value_and_every_leaf_and_key_is_looked_at() -> None:
    tally = Tally()
    tally.add('{"a": [{"contact": {"fullName": "Ada Lovelace"}}], "ip": "203.0.113.7"}', document=True)
    tally.add('{"ada@example.org": 3, "b": "x@example.org"}', document=True)
    tally.add('{"cut": "off@example.org', document=True)
    tally.add("null", document=True)
    assert tally.looked == 4
    assert tally.found == {Kind.name: 1, Kind.ip: 1, Kind.email: 2}

"""The detector: it finds what looks personal however it is encoded, and leaves ordinary texts alone."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.privacy.processors.personal_patterns import Pattern, patterns

slugs = st.lists(st.from_regex(r"[a-z]{1,11}", fullmatch=True), min_size=1, max_size=6).map("-".join)
numbers = st.integers(0, 99_999_999).map(str)
dates = st.dates().map(lambda d: d.isoformat())
versions = st.lists(st.integers(0, 40).map(str), min_size=2, max_size=3).map(lambda v: "v" + ".".join(v))
files = st.builds("{}@{}x.{}".format, slugs, st.integers(1, 3), st.sampled_from(["png", "webp", "svg"]))
segments = st.one_of(slugs, numbers, dates, versions, files)
paths = st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts))
keys = st.sampled_from(
    ["page", "q", "sort", "lang", "ref", "utm_source", "plan", "v", "level", "name", "title"]
)
queries = st.lists(st.builds("{}={}".format, keys, st.one_of(slugs, numbers, dates)), max_size=3).map(
    "&".join
)
pages = st.builds(lambda p, q: f"{p}?{q}" if q else p, paths, queries)
times = st.integers(0, 2)
addresses = st.builds(
    "{}@{}.{}".format,
    st.from_regex(r"[a-z0-9]{1,12}([._+-][a-z0-9]{1,8})?", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9]{0,10}(-[a-z0-9]{1,6})?", fullmatch=True),
    st.sampled_from(["com", "example", "de", "co.uk", "museum"]),
)


@given(pages)
@example("/people/2026-11-25/speakers")
@example("/accounts/2026")
@example("/c++17/std::vector")
@example("/at/12:30:45")
@example("/users/how-to-invite")
@example("/packages/@scope/name")
@example("/search?q=mail+at+home&name=slow-scales")
def test_an_ordinary_page_looks_like_nothing(page: str) -> None:
    assert patterns(page) == frozenset()


@given(
    st.sampled_from(["plan", "logged_in", "skill", "author", "category", "name", "search_query", "path"]),
    st.one_of(
        slugs, numbers, st.sampled_from(["true", "(none)", "Slow Scales", "Deutsch (DE)", "1.5 h", "4:3"])
    ),
)
def test_an_ordinary_property_looks_like_nothing(key: str, value: str) -> None:
    assert patterns(value, key=key) == frozenset()


@given(paths, addresses, times)
def test_an_address_is_found_wherever_and_however_it_is_written(path: str, address: str, times: int) -> None:
    written = address
    for _ in range(times):
        written = quote(written, safe="")
    for text in (f"{path}?to={written}", f"/welcome/{written}", written):
        assert Pattern.email in patterns(text)


@given(paths, st.uuids(), st.booleans())
def test_a_uuid_is_found(path: str, uuid: object, dashes: bool) -> None:
    written = str(uuid) if dashes else str(uuid).replace("-", "")
    assert Pattern.uuid in patterns(f"{path}/{written}") and Pattern.uuid in patterns(written.upper())


@given(st.ip_addresses(v=4).map(str), st.sampled_from(["{}", "/from/{}", "/?x={}", "client {} here"]))
def test_an_ipv4_address_is_found(ip: str, text: str) -> None:
    assert Pattern.ip in patterns(text.format(ip))


@given(st.ip_addresses(v=6).filter(lambda ip: len(str(ip).replace("::", ":").split(":")) > 4).map(str))
def test_an_ipv6_address_is_found(ip: str) -> None:
    assert Pattern.ip in patterns(f"/from/{quote(ip, safe='')}")


@given(st.integers(10**8, 10**15))
def test_a_long_number_is_found(number: int) -> None:
    assert Pattern.digits in patterns(f"/orders/{number}/done")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("/call/%2B49%2030%201234567", Pattern.phone),
        ("tel:+1 (415) 555-0100", Pattern.phone),
        ("/users/48213", Pattern.account),
        ("/account/u-48213/settings", Pattern.account),
        ("/members/9f86d081", Pattern.account),
        ("/portal?customer=cus_NffrFeUfNV2Hib", Pattern.account),
        ("/home?user_id=48213", Pattern.account),
        ("/hello?first_name=Ada", Pattern.name),
        ("/hello?a=1&name=Ada+Lovelace", Pattern.name),
        ("/go?to=%2Fhello%3FlastName%3DLovelace", Pattern.name),
        ("/form?user.email=x", Pattern.name),
        ("/form?user[birth_date]=1990-01-01", Pattern.name),
        ("/reset/9f86d081884c7d659a2feaa0c55ad015a3bf", Pattern.token),
        ("/reset?token=Zm9vYmFyYmF6", Pattern.token),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", Pattern.token),
    ],
)
def test_other_patterns_are_found(text: str, pattern: Pattern) -> None:
    assert pattern in patterns(text)


@pytest.mark.parametrize(
    ("key", "value", "pattern"),
    [
        ("email", "x", Pattern.name),
        ("userId", "12", Pattern.account),
        ("session_id", "abcdefgh", Pattern.token),
    ],
)
def test_the_name_of_a_property_tells_what_its_values_are(key: str, value: str, pattern: Pattern) -> None:
    assert patterns(value, key=key) == {pattern}


def test_a_very_long_text_is_read_in_part() -> None:
    assert patterns("/" + "a-" * 1_000_000) == frozenset()

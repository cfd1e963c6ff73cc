"""The mailers' stand-ins with many recipients: who gets what, always the same, in one mailbox."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.sandbox.processors.fates import Fates
from include.sandbox.processors.mailbox import Envelope, Mailbox, arrivals
from include.sandbox.processors.postmark import Postmark
from include.sandbox.processors.sendgrid import SendGrid
from tests.sandbox.test_mailers_stand_ins import KEY, ask


def personalised(*addresses: str) -> dict[str, Any]:
    return {
        "from": {"email": "privacy@practice-engine.example"},
        "personalizations": [
            {"to": [{"email": each}], "custom_args": {"reference": f"ref {each}"}} for each in addresses
        ],
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "Hello"}],
        "categories": ["batch"],
    }


def message(to: str, **changes: Any) -> dict[str, Any]:
    return {
        "From": "privacy@practice-engine.example",
        "To": to,
        "Subject": "Hello",
        "TextBody": "Hi",
    } | changes


def test_both_write_into_one_mailbox_and_no_mail_is_lost_or_overwritten(tmp_path: Path) -> None:
    sendgrid, postmark = SendGrid(tmp_path, KEY), Postmark(tmp_path, KEY)

    def write(stand_in: SendGrid | Postmark, n: int) -> None:
        if isinstance(stand_in, SendGrid):
            ask(stand_in, "POST", "/v3/mail/send", personalised(f"s{n}@b.example", "both@b.example"))
        else:
            ask(stand_in, "POST", "/email/batch", [message(f"p{n}@b.example"), message("both@b.example")])

    threads = [
        threading.Thread(target=write, args=(each, n)) for n in range(20) for each in (sendgrid, postmark)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = arrivals(tmp_path)
    assert counted.pop("both@b.example") == 40
    assert counted == {f"{who}{n}@b.example": 1 for who in "sp" for n in range(20)}
    assert len(Mailbox(tmp_path / "mailbox").read()) == 80


def test_an_address_twice_in_a_call_refuses_the_whole_call(tmp_path: Path) -> None:
    stand_in = SendGrid(tmp_path, KEY)
    body = personalised("a@b.example", "c@d.example", "A@b.example")
    response, told = ask(stand_in, "POST", "/v3/mail/send", body)
    assert response.status == 400
    assert told["errors"][0]["field"] == "personalizations.2"
    assert (arrivals(tmp_path), stand_in.describe()["log"]) == ({}, [])


def test_suppressions_are_listed_by_the_time_they_came(tmp_path: Path) -> None:
    stand_in = SendGrid(tmp_path, KEY)
    for n, created in enumerate((100, 200, 300)):
        stand_in.suppressions.put("bounces", f"b{n}@b.example")
        stand_in.suppressions.lists["bounces"][f"b{n}@b.example"]["created"] = created
    for query, found in (
        ("", 3),
        ("?start_time=200", 2),
        ("?start_time=101&end_time=200", 1),
        ("?offset=2", 1),
    ):
        assert len(ask(stand_in, "GET", f"/v3/suppression/bounces{query}")[1]) == found


@pytest.mark.parametrize(
    ("messages", "status", "code"),
    [
        ([message("a@b.example")] * 501, 422, 410),
        ({"Messages": []}, 422, 403),
        ([["a"]], 422, 403),
    ],
    ids=["too many", "no list", "no messages"],
)
def test_a_batch_that_is_none_is_refused_whole(tmp_path: Path, messages: Any, status: int, code: int) -> None:
    response, told = ask(Postmark(tmp_path, KEY), "POST", "/email/batch", messages)
    assert (response.status, told["ErrorCode"]) == (status, code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": "nowhere"}, 300),
        ({"From": "nowhere"}, 300),
        ({"TextBody": ""}, 300),
        ({"Metadata": {"reference": "x" * 81}}, 300),
        ({"TrackLinks": "All"}, 300),
        ({"Betreff": "x"}, 300),
        ({"Tag": 5}, 300),
        ({"MessageStream": "none"}, 1235),
        ({"MessageStream": "broadcast"}, 406),
        ({"MessageStream": "legal-notices"}, 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value),
)
def test_each_message_of_a_batch_has_a_code_of_its_own(
    tmp_path: Path, change: dict[str, Any], code: int
) -> None:
    stand_in = Postmark(tmp_path, KEY)
    stand_in.server.suppress("broadcast", "a@b.example", "HardBounce", "Recipient")
    batch = [message("a@b.example", **change), message("fine@b.example")]
    response, told = ask(stand_in, "POST", "/email/batch", batch)
    assert (response.status, [each["ErrorCode"] for each in told]) == (200, [code, 0])
    assert arrivals(tmp_path)["fine@b.example"] == 1
    assert arrivals(tmp_path)["a@b.example"] == (code == 0)


ADDRESSES = st.from_regex(r"[a-z]{1,6}@[a-z]{1,3}\.example", fullmatch=True)


@given(st.lists(ADDRESSES, min_size=1, max_size=30, unique=True))
def test_the_fate_of_an_address_is_the_same_however_it_is_written_and_asked(addresses: list[str]) -> None:
    one, other = (Fates(("drop", "bounce"), "x") for _ in range(2))
    for each in (one, other):
        each.configure({"drop_share": 0.3, "bounce_share": 0.3, "bounces": addresses[:1]})
    assert [one.of(a) for a in addresses] == [other.of(a.upper()) for a in addresses]
    assert one.of(addresses[0]) == "bounce"
    one.configure({"drop_share": 1.0, "bounce_share": 0.0, "bounces": []})
    assert {one.of(a) for a in addresses} == {"drop"}


@pytest.mark.parametrize("shares", [{"drop_share": 0.6, "bounce_share": 0.6}, {"drop_share": -0.1}])
def test_shares_of_more_than_all_are_refused(tmp_path: Path, shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no more than 1"):
        SendGrid(tmp_path, KEY).configure(shares)


def test_long_arguments_and_subjects_of_all_languages_come_back_as_they_were(tmp_path: Path) -> None:
    arguments = {"reference": "x" * 64, "other": "ä ö " * 200}
    subject = "Änderungen – 変更 " + "lang " * 30
    Mailbox(tmp_path / "mailbox").put(
        [Envelope("a@b.example", "m1", arguments)],
        sender=("Büro", "p@b.example"),
        subject=subject.strip(),
        parts={"text/plain": "X-Mark: nothing\n", "text/html": "<p>ü</p>\n"},
        at=SendGrid(tmp_path, KEY).account.now(),
        categories=("c" * 64,),
    )
    [mail] = Mailbox(tmp_path / "mailbox").read()
    assert (mail.custom_args, mail.subject) == (arguments, subject.strip())
    assert (mail.text, mail.html, mail.categories) == ("X-Mark: nothing\n", "<p>ü</p>\n", ("c" * 64,))
    assert arrivals(tmp_path, subject=subject.strip(), batches=["c" * 64]) == {"a@b.example": 1}
    assert json.loads(json.dumps(mail.custom_args)) == arguments

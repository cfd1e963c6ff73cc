"""Bulk mail through SendGrid: one call for a thousand people, and what is known of each afterwards."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.letters.letter import Letter
from include.privacy.mail import (
    MailBusyError,
    MailError,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
)
from include.privacy.mail import sendgrid_bulk as adapter
from include.privacy.mail.bulk import Addressed, BatchResult, BulkMail, Fate, Fated
from include.privacy.mail.recipients import normalised, usable
from include.privacy.mail.sendgrid_bulk import SendGridBulk
from include.privacy.mail.sendgrid_calls import LOGGED, QUIET
from include.sandbox.processors.exchange import Response
from include.sandbox.processors.mailbox import arrivals
from tests.mail.conftest import KEY, SENDER, Post

LETTER = Letter(
    "policy_notice", "en", "Our privacy policy changes – öfter", "Hello,\nit does.\n", "<p>Hello</p>\n"
)
Bulk = Callable[..., SendGridBulk]


def token() -> str:
    return secrets.token_urlsafe(16)


def people(count: int, name: str = "user") -> list[Addressed]:
    return [Addressed(token(), f"{name}{n}@practice.example") for n in range(count)]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def bulk(post: Post) -> Bulk:
    """``bulk(timeout=seconds)``; waits that the adapter asks for take no time and are noted in ``waited``."""

    def make(*, timeout: float = 10.0, waited: list[float] | None = None, **options: Any) -> SendGridBulk:
        return SendGridBulk(
            KEY,
            SENDER,
            **{
                "endpoint_url": post.endpoint,
                "timeout": timedelta(seconds=timeout),
                "sleep": (waited if waited is not None else []).append,
            }
            | options,
        )

    return make


def test_everybody_gets_one_mail_from_one_call_and_sees_nobody_else(post: Post, bulk: Bulk) -> None:
    to, batch = people(1000), token()
    port: BulkMail = bulk()
    assert (port.name, port.capacity) == ("sendgrid", 1000)
    receipt = port.send(LETTER, to, batch=batch)
    assert receipt.provider_id
    assert receipt.results == tuple(BatchResult(each.reference, True, False, "") for each in to)
    assert len(post.said) == 1
    body = post.said[0].request.json()
    assert [len(envelope["to"]) for envelope in body["personalizations"]] == [1] * 1000
    assert not {"cc", "bcc"} & {name for envelope in body["personalizations"] for name in envelope}
    world = post.stand_in.mailbox.folder.parent
    assert arrivals(world) == {each.address: 1 for each in to}
    assert arrivals(world, batches=[batch], subject=LETTER.subject) == arrivals(world)
    assert arrivals(world, batches=[token()]) == arrivals(world, subject="Another") == {}


def test_the_mail_arrives_as_the_letter_was_written(post: Post, bulk: Bulk) -> None:
    to, batch = people(2), token()
    receipt = bulk(reply_to="dpo@practice-engine.example").send(LETTER, to, batch=batch)
    first, second = post.mails()
    assert (first.to, second.to) == (to[0].address, to[1].address)
    assert first.message_id == second.message_id == receipt.provider_id
    assert (first.reference, first.categories) == (to[0].reference, (batch,))
    assert (first.subject, first.text, first.html) == (LETTER.subject, LETTER.text, LETTER.html)
    assert (first.sender, first.reply_to) == (SENDER.address, "dpo@practice-engine.example")


def test_nothing_is_tracked_unsubscriptions_do_not_count_and_the_provider_keeps_tokens_only(
    post: Post, bulk: Bulk
) -> None:
    to, batch = people(2), token()
    for name in ("bounces", "spam_reports", "unsubscribes"):
        post.stand_in.suppressions.put(name, f"{name}@practice.example")
    listed = [
        Addressed(token(), f"{name}@practice.example") for name in ("bounces", "spam_reports", "unsubscribes")
    ]
    bulk().send(LETTER, [*to, *listed], batch=batch)
    body = post.said[0].request.json()
    assert [part["enable"] for part in body["tracking_settings"].values()] == [False] * 4
    assert body["mail_settings"] == {"bypass_unsubscribe_management": {"enable": True}}
    assert body["categories"] == [batch]
    assert body["personalizations"][0] == {
        "to": [{"email": to[0].address}],
        "custom_args": {"reference": to[0].reference},
    }
    assert body.keys().isdisjoint({"asm", "custom_args", "batch_id", "send_at"})
    got = {mail.to for mail in post.mails()}
    assert got == {to[0].address, to[1].address, "unsubscribes@practice.example"}


def test_an_address_that_nobody_can_write_to_is_refused_and_the_others_are_sent(
    post: Post, bulk: Bulk
) -> None:
    bad = ["", "anna", "a@b.example, c@d.example", "a@b.example\nBcc: x@y.example", "ä@b.example", "x" * 250]
    to = [Addressed(token(), address) for address in [*bad, "anna@practice.example"]]
    receipt = bulk().send(LETTER, to, batch=token())
    assert [each.reference for each in receipt.results] == [each.reference for each in to]
    assert [(e.accepted, e.of_address, e.reason) for e in receipt.results] == [
        (False, True, "unusable_address")
    ] * len(bad) + [(True, False, "")]
    assert [mail.to for mail in post.mails()] == ["anna@practice.example"]
    nobody = bulk().send(LETTER, to[:-1], batch=token())
    assert (nobody.provider_id, {each.accepted for each in nobody.results}) == (None, {False})
    assert len(post.said) == 1


TWICE = people(1)


@pytest.mark.parametrize(
    ("to", "batch", "told"),
    [
        ([], token(), "1 to 1000"),
        (people(1001), token(), "not 1001"),
        ([*TWICE, Addressed(token(), "USER0@practice.example")], token(), "an address is twice"),
        ([*TWICE, Addressed(TWICE[0].reference, "b@c.example")], token(), "a reference is twice"),
        ([Addressed("anna@practice.example", "b@c.example")], token(), "mean nothing"),
        (TWICE, "policy 2026", "mean nothing"),
        (TWICE, "x') OR ('1", "mean nothing"),
    ],
    ids=["nobody", "too many", "address twice", "reference twice", "reference", "batch", "query"],
)
def test_a_call_that_must_not_be_made_is_not(
    post: Post, bulk: Bulk, to: Sequence[Addressed], batch: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        bulk().send(LETTER, to, batch=batch)
    assert "practice.example" not in str(refused.value)
    assert post.said == []


def test_a_letter_too_long_for_a_call_is_refused_before_it(
    post: Post, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "LARGEST", 10_000)
    with pytest.raises(MailRejectedError, match="longer than the 30 MB"):
        bulk().send(LETTER, people(100), batch=token())
    bulk().send(LETTER, people(10), batch=token())
    assert len(post.said) == 1


def test_the_records_tell_of_each_what_became_of_it(post: Post, bulk: Bulk) -> None:
    to, batch, claimed = people(9), token(), now()
    address = [each.address for each in to]
    post.control.configure(bounces=[address[0]], blocks=[address[1]], drops=[address[2]])
    for name, place in (("bounces", 3), ("spam_reports", 4), ("invalid_emails", 5)):
        post.stand_in.suppressions.put(name, address[place])
    port = bulk()
    assert all(each.accepted for each in port.send(LETTER, to, batch=batch).results)
    port.send(LETTER, people(3, "other"), batch=token())
    found = {fated.address: fated for fated in port.fates(batch, claimed, as_of=now())}
    assert len(found) == 9
    assert [(found[a].fate, found[a].of_address, found[a].reason) for a in address] == [
        (Fate.bounced, True, "hard_bounce"),
        (Fate.bounced, False, "blocked"),
        (Fate.dropped, False, "dropped"),
        (Fate.dropped, True, "suppressed_bounce"),
        (Fate.dropped, True, "suppressed_spam_report"),
        (Fate.dropped, True, "invalid_address"),
        *[(Fate.delivered, False, "")] * 3,
    ]
    assert {each.reference for each in found.values()} == {None}  # the log shows no arguments
    assert all(abs(each.at - claimed) < timedelta(minutes=1) for each in found.values())
    assert sorted(mail.to for mail in post.mails() if batch in mail.categories) == address[6:]
    again = token()
    port.send(LETTER, to[:1], batch=again)
    [later] = port.fates(again, claimed, as_of=now())
    assert (later.fate, later.of_address, later.reason) == (Fate.dropped, True, "suppressed_bounce")


def test_a_thousand_fates_are_one_query(post: Post, bulk: Bulk) -> None:
    batch, claimed = token(), now()
    post.control.configure(bounce_share=0.05, drop_share=0.03, block_share=0.02, keep_mail=False)
    bulk().send(LETTER, people(1000), batch=batch)
    fates = bulk().fates(batch, claimed, as_of=now())
    assert len(post.said) == 2
    assert len({fated.address for fated in fates}) == 1000
    counted = post.control.state()["counts"]
    assert {status: sum(f.fate is fate for f in fates) for status, fate in (
        ("bounced", Fate.bounced), ("dropped", Fate.dropped), ("delivered", Fate.delivered)
    )} == {
        "bounced": counted["bounced"] + counted["blocked"],
        "dropped": counted["dropped"],
        "delivered": counted["delivered"],
    }  # fmt: skip
    assert 20 < counted["bounced"] < 90


def test_a_message_is_accepted_until_it_is_delivered(post: Post, bulk: Bulk) -> None:
    batch, claimed = token(), now()
    post.control.configure(deliver_seconds=3600)
    bulk().send(LETTER, people(2), batch=batch)
    assert {f.fate for f in bulk().fates(batch, claimed, as_of=now())} == {Fate.accepted}
    post.control.configure(clock_offset_seconds=3601)
    assert {f.fate for f in bulk().fates(batch, claimed, as_of=now())} == {Fate.delivered}


FAULTS: list[tuple[dict[str, Any], type[MailError], bool]] = [
    # What goes wrong, what is raised, and whether the mails were sent.
    ({"kind": "status", "status": 400}, MailRejectedError, False),
    ({"kind": "status", "status": 413}, MailRejectedError, False),
    ({"kind": "status", "status": 401}, MailUnavailableError, False),
    ({"kind": "status", "status": 403}, MailUnavailableError, False),
    ({"kind": "status", "status": 404}, MailUnavailableError, False),
    ({"kind": "status", "status": 429}, MailBusyError, False),
    ({"kind": "status", "status": 500}, MailUncertainError, False),
    ({"kind": "status", "status": 500, "when": "after"}, MailUncertainError, True),
    ({"kind": "status", "status": 503}, MailUncertainError, False),
    ({"kind": "reset"}, MailUncertainError, False),
    ({"kind": "reset", "when": "after"}, MailUncertainError, True),
    ({"kind": "timeout", "seconds": 3.0}, MailUncertainError, False),
    ({"kind": "timeout", "seconds": 3.0, "when": "after"}, MailUncertainError, True),
]


@pytest.mark.parametrize(
    ("fault", "raised", "sent"),
    FAULTS,
    ids=lambda v: " ".join(map(str, v.values())) if isinstance(v, dict) else "",
)
def test_every_failure_says_whether_it_may_have_been_sent_and_the_records_settle_it(
    post: Post, bulk: Bulk, fault: dict[str, Any], raised: type[MailError], sent: bool
) -> None:
    post.control.fail(path="/v3/mail/send", **fault)
    to, batch, claimed = people(3), token(), now()
    with pytest.raises(MailError) as error:
        bulk(timeout=0.3).send(LETTER, to, batch=batch)
    assert type(error.value) is raised
    assert "practice.example" not in str(error.value)
    post.wait_for_mails(3 if sent else 0)
    assert sum(e.request.path == "/v3/mail/send" for e in post.said) <= 1, "a POST was repeated"
    port = bulk()
    assert len(port.fates(batch, claimed, as_of=claimed + QUIET)) == (3 if sent else 0)
    assert not port.settled(claimed, claimed + QUIET - timedelta(seconds=1))
    assert port.settled(claimed, claimed + QUIET)


def test_a_refused_call_names_the_place_of_the_address_and_not_the_address(post: Post, bulk: Bulk) -> None:
    to = [*people(2), Addressed(token(), "x@-.example")]
    errors = {"errors": [{"message": "x@-.example!", "field": "personalizations.2.to.0.email"}]}
    refusal = Response(400, json.dumps(errors).encode())
    post.stand_in.answer = lambda request: refusal  # type: ignore[method-assign]
    with pytest.raises(MailRejectedError, match=r"fields: personalizations\.2\.to\.0\.email") as refused:
        bulk().send(LETTER, to, batch=token())
    assert "x@-" not in str(refused.value)


def test_a_rate_that_is_used_up_is_told_with_the_time_to_come_back(post: Post, bulk: Bulk) -> None:
    post.control.configure(limit=1, per_seconds=600)
    before = now()
    bulk().send(LETTER, people(2), batch=token())
    with pytest.raises(MailBusyError) as busy:
        bulk().send(LETTER, people(2), batch=token())
    assert busy.value.retry_at is not None
    assert before + timedelta(seconds=590) < busy.value.retry_at < before + timedelta(seconds=620)
    assert len(post.mails()) == 2


def test_absence_proves_nothing_before_the_quiet_time_nor_after_the_log_has_forgotten(bulk: Bulk) -> None:
    claimed = now()
    assert [bulk().settled(claimed, claimed + after) for after in (QUIET, LOGGED)] == [True, True]
    assert not bulk().settled(claimed, claimed + LOGGED + timedelta(seconds=1))
    with pytest.raises(ValueError, match="time zone"):
        bulk().settled(claimed, datetime(2026, 1, 1))  # noqa: DTZ001 - naive on purpose


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 429},
        {"kind": "reset"},
        {"kind": "malformed"},
        {"kind": "timeout", "seconds": 3.0},
    ],
    ids=lambda f: f.get("kind", str(f.get("status"))),
)
def test_reading_is_tried_again_and_then_says_that_it_cannot(
    post: Post, bulk: Bulk, fault: dict[str, Any]
) -> None:
    batch, claimed, waited = token(), now(), list[float]()
    bulk().send(LETTER, people(2), batch=batch)
    post.control.fail(path="/v3/logs", count=2, **fault)
    assert len(bulk(timeout=0.3, waited=waited).fates(batch, claimed, as_of=now())) == 2
    assert len(waited) == 2
    post.control.fail(path="/v3/logs", count=4, **fault)
    with pytest.raises(MailUnavailableError, match="cannot be read"):
        bulk(timeout=0.3).fates(batch, claimed, as_of=now())
    assert post.control.faults() == []


def test_a_used_up_rate_of_reading_is_waited_for(post: Post, bulk: Bulk) -> None:
    post.control.configure(limit=1, per_seconds=30)
    waited: list[float] = []
    bulk().fates(token(), now(), as_of=now())
    with pytest.raises(MailUnavailableError, match="429"):
        bulk(waited=waited).fates(token(), now(), as_of=now())
    assert all(20 < each <= 31 for each in waited)
    assert len(waited) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"{}",
        b'{"messages": null}',
        b'{"messages": [1]}',
        b'{"messages": [{"to_email": "a@b.example"}]}',
    ],
)
def test_records_of_another_shape_are_no_absence(post: Post, bulk: Bulk, answer: bytes) -> None:
    post.stand_in.answer = lambda request: Response(200, answer)  # type: ignore[method-assign]
    with pytest.raises(MailUnavailableError, match="not as described"):
        bulk().fates(token(), now(), as_of=now())


def test_late_bounces_are_on_the_lists_page_by_page_and_only_those_of_the_time(
    post: Post, bulk: Bulk
) -> None:
    lists = post.stand_in.suppressions
    for n in range(1_001):
        lists.put("bounces", f"b{n}@practice.example")
    for name in ("blocks", "invalid_emails", "spam_reports", "unsubscribes"):
        lists.put(name, f"{name}@practice.example")
    lists.lists["bounces"]["b0@practice.example"]["created"] = int(time.time()) - 7200
    since, until = now() - timedelta(hours=1), now() + timedelta(hours=1)
    told = list(bulk().suppressed(since, until, as_of=until))
    assert len(told) == 1_003
    assert post.control.calls() == 3 + 3
    others = {f.address: (f.fate, f.of_address, f.reason) for f in told if f.reason != "hard_bounce"}
    assert others == {
        "blocks@practice.example": (Fate.bounced, False, "blocked"),
        "invalid_emails@practice.example": (Fate.dropped, True, "invalid_address"),
        "spam_reports@practice.example": (Fate.dropped, True, "suppressed_spam_report"),
    }
    assert list(bulk().suppressed(since, until, as_of=since)) == []


def test_nothing_personal_and_no_key_is_in_logs_errors_or_representations(
    post: Post, bulk: Bulk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    for fault, *_ in [*FAULTS, ({"kind": "slow", "seconds": 0.0}, None, None)]:
        for path in ("/v3/mail/send", "/v3/logs", "/v3/suppression"):
            post.control.fail(path=path, count=4 if path != "/v3/mail/send" else 1, **fault)
        port, to, batch = bulk(timeout=0.1), people(2, "anna"), token()
        for call in (
            lambda port=port, to=to, batch=batch: port.send(LETTER, to, batch=batch),
            lambda port=port, batch=batch: port.fates(batch, now(), as_of=now()),
            lambda port=port: list(port.suppressed(now(), now(), as_of=now())),
        ):
            try:
                told.append(repr(call()))
            except MailError as error:
                told += [str(error), repr(error), repr(error.__cause__), str(error.__suppress_context__)]
        told.append(repr(to))
        post.control.clear_faults()
    everything = " ".join([caplog.text, *told])
    assert "accepted by SendGrid" in everything
    for secret in ("anna", "practice.example", "privacy policy changes", KEY, "Bearer"):
        assert secret.casefold() not in everything.casefold()


def test_memory_stays_flat_when_no_mail_is_kept(post: Post, bulk: Bulk) -> None:
    post.control.configure(keep_mail=False)
    first, claimed, port = token(), now(), bulk()
    port.send(LETTER, people(5), batch=first)
    for n in range(64):
        port.send(LETTER, people(2, f"b{n}x"), batch=token())
    assert port.fates(first, claimed, as_of=now()) == []
    state = post.control.state()
    assert (len(state["log"]), state["counts"], post.mails()) == (128, {"delivered": 133}, [])


@given(st.text(max_size=60))
def test_an_address_is_usable_only_if_nothing_else_fits_into_it(text: str) -> None:
    if usable(text):
        assert text.isascii()
        assert text.count("@") == 1
        assert not set(text) & set(' ,;<>"()[]\\\r\n')
        assert normalised(text) == normalised(text.upper())


def test_an_unknown_status_is_still_a_message_that_was_taken_over() -> None:
    from include.privacy.mail.sendgrid_fates import fated

    assert fated("A@b.example", None, "quarantined", None, now()).fate is Fate.accepted
    assert isinstance(fated(None, None, "dropped", None, now()), Fated)

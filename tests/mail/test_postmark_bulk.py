"""Bulk mail through Postmark: five hundred messages a call, each taken over or refused by itself."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.mail import (
    MailBusyError,
    MailError,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
)
from include.privacy.mail import postmark_bulk as adapter
from include.privacy.mail.bulk import Addressed, BulkMail, Fate
from include.privacy.mail.postmark_bulk import KEPT, QUIET, STREAM, PostmarkBulk
from include.privacy.mail.sendgrid_bulk import SendGridBulk
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.runtime import Runtime
from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.mailbox import arrivals, shared_mailbox
from tests.mail.conftest import SENDER
from tests.mail.test_sendgrid_bulk import LETTER, now, people, token
from tests.processors.standing import Standing, standing

KEY = "a-token-for-tests"
Bulk = Callable[..., PostmarkBulk]


@pytest.fixture
def postmark(tmp_path: Path) -> Iterator[Standing]:
    with standing("postmark", tmp_path, KEY) as running:
        yield running


@pytest.fixture
def bulk(postmark: Standing) -> Iterator[Bulk]:
    """``bulk(timeout=seconds, key=…)``; waits that the adapter asks for take no time."""
    made: list[PostmarkBulk] = []

    def make(*, timeout: float = 10.0, key: str = KEY, **options: Any) -> PostmarkBulk:
        sleep: Callable[[float], None] = [].append
        known = {"endpoint_url": postmark.endpoint, "timeout": timedelta(seconds=timeout), "sleep": sleep}
        made.append(PostmarkBulk(key, SENDER, **known | options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def mails(postmark: Standing) -> list[Any]:
    return shared_mailbox(postmark.stand_in.sending.mailbox.folder).read()


def test_everybody_gets_one_message_from_one_call_on_the_stream_for_notices(
    postmark: Standing, bulk: Bulk, tmp_path: Path
) -> None:
    to, batch = people(500), token()
    port: BulkMail = bulk(reply_to="dpo@practice-engine.example")
    assert (port.name, port.capacity) == ("postmark", 500)
    receipt = port.send(LETTER, to, batch=batch)
    assert [e.reference for e in receipt.results] == [e.reference for e in to]
    assert {(e.accepted, e.of_address, e.reason) for e in receipt.results} == {(True, False, "")}
    [said] = postmark.said
    assert said.request.json()[0] == {
        "From": f'"{SENDER.name}" <{SENDER.address}>',
        "To": to[0].address,
        "ReplyTo": "dpo@practice-engine.example",
        "Subject": LETTER.subject,
        "TextBody": LETTER.text,
        "HtmlBody": LETTER.html,
        "MessageStream": STREAM,
        "Tag": batch,
        "Metadata": {"reference": to[0].reference},
        "TrackOpens": False,
        "TrackLinks": "None",
    }
    assert arrivals(tmp_path) == {each.address: 1 for each in to}
    fates = port.fates(batch, now(), as_of=now())
    assert {f.reference: f.address for f in fates} == {e.reference: e.address for e in to}


def test_the_mail_arrives_as_the_letter_was_written(postmark: Standing, bulk: Bulk) -> None:
    to, batch = people(2), token()
    bulk(reply_to="dpo@practice-engine.example").send(LETTER, to, batch=batch)
    first, second = mails(postmark)
    assert (first.to, second.to) == (to[0].address, to[1].address)
    assert first.message_id != second.message_id
    assert (first.reference, first.categories) == (to[0].reference, (batch,))
    assert (first.subject, first.text, first.html) == (LETTER.subject, LETTER.text, LETTER.html)
    assert (first.sender, first.reply_to) == (SENDER.address, "dpo@practice-engine.example")


def test_each_message_is_refused_by_itself_and_what_the_address_cannot_help_is_told_apart(
    postmark: Standing, bulk: Bulk
) -> None:
    server = postmark.stand_in.server
    server.suppress(STREAM, "bounced@practice.example", "HardBounce", "Recipient")
    server.suppress("broadcast", "newsless@practice.example", "ManualSuppression", "Recipient")
    names = ["fine", "bounced", "newsless"]
    to = [
        *(Addressed(token(), f"{name}@practice.example") for name in names),
        Addressed(token(), "nowhere"),
        Addressed(token(), "x@-a-.example"),
    ]
    receipt = bulk().send(LETTER, to, batch=token())
    assert [(e.accepted, e.of_address, e.reason) for e in receipt.results] == [
        (True, False, ""),
        (False, True, "inactive_recipient"),
        (True, False, ""),
        (False, True, "unusable_address"),
        (True, False, ""),
    ]
    assert [mail.to for mail in mails(postmark)] == [to[0].address, to[2].address, to[4].address]


CODES: list[tuple[int, bool, str]] = [
    (300, True, "invalid_address"),
    (406, True, "inactive_recipient"),
    (405, False, "error_405"),
    (412, False, "error_412"),
    (1235, False, "error_1235"),
]


@pytest.mark.parametrize(("code", "of_address", "reason"), CODES)
def test_a_code_of_one_message_among_others_is_its_own(
    postmark: Standing, bulk: Bulk, code: int, of_address: bool, reason: str
) -> None:
    answer = [{"ErrorCode": 0, "Message": "OK"}, {"ErrorCode": code, "Message": "about anna@b.example"}]
    postmark.stand_in.answer = lambda request: Response.of_json(answer)
    good, bad = bulk().send(LETTER, people(2), batch=token()).results
    assert (good.accepted, bad.accepted, bad.of_address, bad.reason) == (True, False, of_address, reason)


def test_a_reason_that_all_have_in_common_is_not_their_addresses(postmark: Standing, bulk: Bulk) -> None:
    postmark.control.configure(may_send=False)
    with pytest.raises(MailUnavailableError, match=r"ErrorCode 412.*may send"):
        bulk().send(LETTER, people(3), batch=token())
    postmark.control.configure(may_send=True)
    with pytest.raises(MailUnavailableError, match=r"ErrorCode 1235.*stream"):
        bulk(stream="no-such-stream").send(LETTER, people(1), batch=token())
    wrong = SENDER.model_copy(update={"address": "nowhere"})
    port = PostmarkBulk(KEY, wrong, endpoint_url=postmark.endpoint)
    with pytest.raises(MailRejectedError, match=r"ErrorCode 300.*sender"):
        port.send(LETTER, people(2), batch=token())
    port.close()
    for each in people(2):
        postmark.stand_in.server.suppress(STREAM, each.address, "HardBounce", "Recipient")
    inactive = bulk().send(LETTER, people(2), batch=token()).results
    assert [(e.accepted, e.of_address) for e in inactive] == [(False, True)] * 2
    assert mails(postmark) == []


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_of_another_size_is_refused_before_the_call(
    postmark: Standing, bulk: Bulk, count: int
) -> None:
    with pytest.raises(ValueError, match="1 to 500"):
        bulk().send(LETTER, people(count), batch=token())
    assert bulk().send(LETTER, [Addressed(token(), "nowhere")], batch=token()).results[0].of_address
    assert postmark.said == []


def test_a_letter_too_long_for_a_call_is_refused_before_it(
    postmark: Standing, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "LARGEST", 10_000)
    with pytest.raises(MailRejectedError, match="longer than the 50 MB"):
        bulk().send(LETTER, people(100), batch=token())
    assert postmark.said == []


FAULTS: list[tuple[dict[str, Any], type[MailError], bool]] = [
    ({"kind": "status", "status": 401}, MailUnavailableError, False),
    ({"kind": "status", "status": 403}, MailUnavailableError, False),
    ({"kind": "status", "status": 404}, MailUnavailableError, False),
    ({"kind": "status", "status": 413}, MailRejectedError, False),
    ({"kind": "status", "status": 422}, MailRejectedError, False),  # ErrorCode 300
    ({"kind": "status", "status": 429}, MailBusyError, False),
    ({"kind": "status", "status": 500}, MailUncertainError, False),
    ({"kind": "status", "status": 500, "when": "after"}, MailUncertainError, True),
    ({"kind": "status", "status": 503}, MailUncertainError, False),
    ({"kind": "reset"}, MailUncertainError, False),
    ({"kind": "reset", "when": "after"}, MailUncertainError, True),
    ({"kind": "timeout", "seconds": 3.0}, MailUncertainError, False),
    ({"kind": "timeout", "seconds": 3.0, "when": "after"}, MailUncertainError, True),
    ({"kind": "malformed"}, MailUncertainError, True),
]


@pytest.mark.parametrize(
    ("fault", "raised", "sent"),
    FAULTS,
    ids=lambda v: " ".join(map(str, v.values())) if isinstance(v, dict) else "",
)
def test_every_failure_says_whether_it_may_have_been_sent_and_the_records_settle_it(
    postmark: Standing, bulk: Bulk, fault: dict[str, Any], raised: type[MailError], sent: bool
) -> None:
    postmark.control.fail(path="/email/batch", **fault)
    to, batch, claimed = people(3), token(), now()
    with pytest.raises(MailError) as error:
        bulk(timeout=0.3).send(LETTER, to, batch=batch)
    assert type(error.value) is raised
    assert "practice.example" not in str(error.value)
    deadline = time.monotonic() + 20
    while sent and len(mails(postmark)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(mails(postmark)) == (3 if sent else 0)
    assert postmark.calls("POST", "/email/batch") <= 1, "a POST was repeated"
    port = bulk()
    found = port.fates(batch, claimed, as_of=claimed + QUIET)
    assert {f.reference for f in found} == ({e.reference for e in to} if sent else set())
    assert {f.fate for f in found} <= {Fate.accepted}
    assert not port.settled(claimed, claimed + QUIET - timedelta(seconds=1))
    assert port.settled(claimed, claimed + QUIET)
    assert not port.settled(claimed, claimed + KEPT + timedelta(seconds=1))


@pytest.mark.parametrize(
    "answer", [b"{}", b"[]", b'[{"ErrorCode": 0}]', b'[{"Message": "OK"}, {"ErrorCode": 0}]', b'["a", "b"]']
)
def test_an_answer_without_a_result_for_each_leaves_the_batch_in_doubt(
    postmark: Standing, bulk: Bulk, answer: bytes
) -> None:
    postmark.stand_in.answer = lambda request: Response(200, answer)
    with pytest.raises(MailUncertainError, match="not as described"):
        bulk().send(LETTER, people(2), batch=token())


@pytest.mark.parametrize("code", [10, 405, 412, 413, 1235])
def test_a_refusal_of_the_account_rejects_no_letter(postmark: Standing, bulk: Bulk, code: int) -> None:
    postmark.stand_in.answer = lambda request: Response.of_json({"ErrorCode": code, "Message": "no"}, 422)
    with pytest.raises(MailUnavailableError, match=f"ErrorCode {code}"):
        bulk().send(LETTER, people(2), batch=token())


def test_a_time_to_come_back_is_told_where_postmark_says_one(postmark: Standing, bulk: Bulk) -> None:
    refusal = Response.of_json({"ErrorCode": 429, "Message": "slow down"}, 429)
    postmark.stand_in.answer = lambda request: refusal
    with pytest.raises(MailBusyError) as busy:
        bulk().send(LETTER, people(1), batch=token())
    assert busy.value.retry_at is None
    refusal.headers["Retry-After"] = "90"
    before = datetime.now(UTC)
    with pytest.raises(MailBusyError) as busy:
        bulk().send(LETTER, people(1), batch=token())
    assert busy.value.retry_at is not None
    assert before + timedelta(seconds=89) < busy.value.retry_at < before + timedelta(seconds=120)


def test_a_connection_that_never_came_about_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = PostmarkBulk(KEY, SENDER, endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(MailUnavailableError, match="cannot be reached"):
            port.send(LETTER, people(1), batch=token())
        port.close()


def test_a_redirect_is_not_followed_with_our_token(postmark: Standing, bulk: Bulk) -> None:
    asked: list[str] = []

    def redirect(request: Request) -> Response:
        asked.append(request.path)
        return Response(307, headers={"Location": f"{postmark.endpoint}/elsewhere"})

    postmark.stand_in.answer = redirect
    with pytest.raises(MailUnavailableError, match="307"):
        bulk().send(LETTER, people(1), batch=token())
    assert asked == ["/email/batch"]


def test_bounces_are_told_with_the_reference_of_their_message(postmark: Standing, bulk: Bulk) -> None:
    to, batch = people(5), token()
    postmark.control.configure(bounces=[to[0].address])
    port = bulk()
    assert all(each.accepted for each in port.send(LETTER, to, batch=batch).results)
    server = postmark.stand_in.server
    types = {1: "SoftBounce", 2: "Transient", 3: "AutoResponder", 4: "SpamComplaint"}
    for place, kind in types.items():
        server.bounce(server.messages[place])
        server.bounces[-1]["Type"] = kind
    found = {f.reference: (f.fate, f.of_address, f.reason) for f in port.fates(batch, now(), as_of=now())}
    assert found == {
        to[0].reference: (Fate.bounced, True, "hard_bounce"),
        to[1].reference: (Fate.bounced, False, "soft_bounce"),
        to[2].reference: (Fate.deferred, False, "transient"),
        to[3].reference: (Fate.accepted, False, ""),  # somebody, or a program, has answered
        to[4].reference: (Fate.delivered, False, "spam_complaint"),
    }
    assert to[0].address not in {mail.to for mail in mails(postmark)}
    again = port.send(LETTER, [Addressed(token(), to[0].address)], batch=token()).results
    assert (again[0].accepted, again[0].reason) == (False, "inactive_recipient")


def test_records_are_read_page_by_page_and_only_those_of_the_batch(
    postmark: Standing, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "PAGE", 3)
    batch, port = token(), bulk()
    port.send(LETTER, people(7), batch=batch)
    port.send(LETTER, people(4, "other"), batch=token())
    assert len(port.fates(batch, now(), as_of=now())) == 7
    assert postmark.calls("GET", "/messages/outbound") == 3


@pytest.mark.parametrize("kind", ["reset", "malformed", "status"])
def test_reading_is_tried_again_and_then_says_that_it_cannot(
    postmark: Standing, bulk: Bulk, kind: str
) -> None:
    batch, port = token(), bulk()
    port.send(LETTER, people(2), batch=batch)
    postmark.control.fail(kind=kind, path="/messages", count=3)
    assert len(port.fates(batch, now(), as_of=now())) == 2
    postmark.control.fail(kind=kind, path="/messages", count=4)
    with pytest.raises(MailUnavailableError, match="cannot be read"):
        port.fates(batch, now(), as_of=now())


@pytest.mark.parametrize(
    "answer", [{}, [], {"Messages": None}, {"Messages": [1]}, {"Messages": [{"To": []}]}]
)
def test_records_of_another_shape_are_no_absence(postmark: Standing, bulk: Bulk, answer: Any) -> None:
    postmark.stand_in.answer = lambda request: Response.of_json(answer)
    for read in (
        lambda: bulk().fates(token(), now(), as_of=now()),
        lambda: list(bulk().suppressed(now(), now(), as_of=now())),
    ):
        with pytest.raises(MailUnavailableError, match="not as described"):
            read()


def test_the_streams_list_tells_of_late_bounces_and_complaints(postmark: Standing, bulk: Bulk) -> None:
    server, since = postmark.stand_in.server, now() - timedelta(minutes=1)
    for name, reason in (("a", "HardBounce"), ("b", "SpamComplaint"), ("c", "ManualSuppression")):
        server.suppress(STREAM, f"{name}@practice.example", reason, "Recipient")
    server.suppress("broadcast", "d@practice.example", "HardBounce", "Recipient")
    until = now() + timedelta(minutes=1)
    told = {f.address: (f.fate, f.of_address) for f in bulk().suppressed(since, until, as_of=until)}
    assert told == {
        "a@practice.example": (Fate.bounced, True),
        "b@practice.example": (Fate.dropped, True),
        "c@practice.example": (Fate.dropped, False),
    }
    assert list(bulk().suppressed(since, until, as_of=since)) == []


def test_nothing_personal_and_no_token_is_in_logs_errors_or_representations(
    postmark: Standing, bulk: Bulk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11"):
        caplog.set_level(logging.DEBUG, logger=name)
    told: list[str] = []
    for fault, *_ in [*FAULTS, ({"kind": "slow", "seconds": 0.0}, None, None)]:
        for path, count in (("/email/batch", 1), ("/messages/outbound", 4), ("/dump", 4)):
            postmark.control.fail(path=path, count=count, **fault)
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
        postmark.control.clear_faults()
    everything = " ".join([caplog.text, *told])
    assert "accepted by Postmark" in everything
    for secret in ("anna", "practice.example", "privacy policy changes", KEY):
        assert secret.casefold() not in everything.casefold()


@pytest.mark.parametrize("endpoint", ["http://api.example.org", "ftp://10.0.0.1", "api.postmarkapp.com"])
def test_an_endpoint_without_tls_is_refused_unless_on_this_machine(endpoint: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        PostmarkBulk(KEY, SENDER, endpoint_url=endpoint)


@pytest.mark.parametrize("key", ["", "a\nX-Evil: 1", "ä"])
def test_a_token_that_cannot_be_one_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="token of the server is empty") as refused:
        PostmarkBulk(key, SENDER)
    assert "Evil" not in str(refused.value)


def test_the_runtime_connects_both_by_their_connections(postmark: Standing) -> None:
    config = load_config(ROOT / "config")
    extra = {"endpoint_url": postmark.endpoint, "notice_stream": "broadcast"}

    def connect(conn_id: str) -> ConnectionInfo:
        return ConnectionInfo(conn_id, "generic", password=KEY, extra=extra)

    runtime = Runtime(connect, lambda: config)
    port = runtime.bulk_mail("postmark")
    assert runtime.bulk_mail("postmark") is port
    port.send(LETTER, people(1), batch=token())
    [said] = postmark.said
    assert said.request.json()[0]["MessageStream"] == "broadcast"
    assert said.request.json()[0]["ReplyTo"] == config.letters.head.privacy_contact.address
    assert isinstance(runtime.bulk_mail("sendgrid"), SendGridBulk)
    runtime.close()
    extra["endpoint_url"] = "http://api.example.org"
    for name in ("postmark", "sendgrid"):
        with pytest.raises(UnusableConnectionError, match=f"'{name}'.*https"):
            Runtime(connect, lambda: config).bulk_mail(name)  # type: ignore[arg-type]
    assert json.loads(said.request.body)[0]["TrackOpens"] is False

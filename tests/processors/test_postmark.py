"""Postmark as a processor: what is found, handed out, stopped and erased, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from include.privacy.connections import ConnectionInfo
from include.privacy.processors.postmark import connect
from include.privacy.processors.protocol import Person, ProcessorRefusedError, Report, State
from include.sandbox.processors.postmark import account_token
from tests.processors.matrix import carry_out
from tests.processors.postmark_account import (
    KEY,
    MARKETING,
    adapter,
    address,
    mailed,
    now,
    person,
    postmark,
    shipped,
    suppressed,
)
from tests.processors.standing import Standing

NOBODY = Person("request-0", ("nobody@practice.example",))
WITHOUT = Person("request-none")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Standing]:
    with postmark(tmp_path, 5) as started:
        yield started


def states(report: Report) -> dict[str, State]:
    return {outcome.kind: outcome.state for outcome in report.outcomes}


def info(password: str | None = KEY, **extra: str) -> ConnectionInfo:
    return ConnectionInfo("postmark", "generic", password=password, extra=extra)


def test_the_shipped_map_connects_and_its_collections_are_those_that_are_handed_out(
    running: Standing,
) -> None:
    server = running.stand_in.server
    server.open(server.messages[0], click=True)
    server.bounce(server.messages[0])
    processor = connect(shipped(), info(account_token=account_token(KEY)), running.endpoint)
    [exported] = processor.export([person(1)])
    processor._calls.close()
    assert exported.collections.keys() == shipped().collections.keys()
    assert exported.collections["messages"][0]["TextBody"] == "Hello"
    assert exported.collections["suppressions"][0]["Stream"] == "outbound"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {}}, "settings.requested_by"),
        ({"settings": {"requested_by": "a@b.example", "speed": 3}}, "settings.speed"),
        ({"objection": {MARKETING: "Broad cast"}}, f"objection.{MARKETING}"),
        ({"keeps": {"message": {"basis": "legal_claims", "reason": "x", "days": 1}}}, "keeps.message"),
    ],
)
def test_wrong_settings_are_refused_by_name(change: dict[str, object], named: str) -> None:
    mapped = type(shipped()).model_validate(shipped().model_dump() | change)
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        connect(mapped, info(), None)


@pytest.mark.parametrize("token", [None, "", "with space", "ümlaut"])
def test_what_cannot_be_a_token_is_refused_without_being_told(token: str | None) -> None:
    with pytest.raises(ValueError, match="token of the server") as refused:
        connect(shipped(), info(token), None)
    assert not token or token not in str(refused.value)


def test_preflight_names_removals_that_are_off_tokens_and_streams(running: Standing) -> None:
    assert adapter(running).preflight(as_of=now()).problems == ()
    running.control.configure(removals=False)
    found = adapter(running).preflight(as_of=now())
    assert found.features == {"data_removals": False}
    assert "support switch them on" in found.problems[0]
    [problem] = adapter(running, token=None).preflight(as_of=now()).problems
    assert "account_token" in problem
    mapped = shipped().model_copy(update={"objection": {MARKETING: "broadcast, news"}})
    running.control.configure(removals=True)
    assert "no message stream news" in adapter(running, mapped).preflight(as_of=now()).problems[0]


def test_a_wrong_token_of_the_account_is_refused(running: Standing) -> None:
    with pytest.raises(ProcessorRefusedError, match="check the password"):
        adapter(running, token="another").preflight(as_of=now())


def test_who_is_not_known_has_nothing(running: Standing) -> None:
    assert [f.counts for f in adapter(running).find([NOBODY, WITHOUT])] == [{}, {}]


@pytest.mark.parametrize("people", [1, 5])
def test_one_and_many_are_found_alike(running: Standing, people: int) -> None:
    server = running.stand_in.server
    server.bounce(server.messages[0])
    server.suppress("broadcast", address(1), "ManualSuppression", "Recipient")
    found = {f.reference: f.counts for f in adapter(running).find([person(n) for n in range(1, people + 1)])}
    assert found["request-1"] == {
        "message": 1, "open": 1, "bounce": 1, "hard_bounce_suppression": 1, "opt_out": 1
    }  # fmt: skip


def test_pages_are_followed_and_a_search_that_reaches_no_further_goes_by_days(running: Standing) -> None:
    server, at = running.stand_in.server, now() - timedelta(days=3)
    template = server.messages[0]
    for n in range(10_600):
        sent = at - timedelta(days=n % 20)
        server.messages.append(template | {"MessageID": f"m{n}", "ReceivedAt": sent.isoformat()})
    found = adapter(running)._messages.all("messages", address(1))
    assert len({m["MessageID"] for m in found}) == len(found) == 10_601
    few = adapter(running)._messages
    server.messages = server.messages[:1_200]
    assert len(few.all("messages", address(1))) == 1_196


def test_other_recipients_of_a_message_are_not_handed_out(running: Standing) -> None:
    running.stand_in.server.send(address(7), now(), "Invitation", "other@practice.example")
    [exported] = adapter(running).export([person(7)])
    assert "other@practice.example" not in str(exported.collections)
    assert exported.collections["messages"][0]["To"] == [{"Email": address(7), "Name": ""}]


def test_an_erasure_takes_messages_and_bounces_and_keeps_what_honours_an_objection(running: Standing) -> None:
    server = running.stand_in.server
    server.bounce(server.messages[0])
    server.bounce(server.messages[4])
    server.suppress("broadcast", address(1), "SpamComplaint", "Recipient")
    report = carry_out(adapter(running), "erase", [person(1)], as_of=now())["request-1"]
    assert states(report) == {
        "hard_bounce_suppression": State.erased, "spam_complaint": State.retained, "recipient": State.erased
    }  # fmt: skip
    state = running.control.state()
    assert mailed(state) == {address(n) for n in range(2, 6)}
    assert suppressed(state, "outbound") == {address(5)}
    assert suppressed(state, "broadcast") == {address(1)}
    assert [f.counts for f in adapter(running).verify([person(1)], as_of=now())] == [{}]


def test_a_complaint_that_is_not_kept_is_left_to_a_person(running: Standing) -> None:
    server = running.stand_in.server
    server.suppress("broadcast", address(1), "SpamComplaint", "Recipient")
    server.suppress("outbound", address(1), "ManualSuppression", "Customer")
    mapped = shipped().model_copy(update={"keeps": {}})
    report = carry_out(adapter(running, mapped), "erase", [person(1)], as_of=now())["request-1"]
    assert states(report) == {
        "spam_complaint": State.manual, "opt_out": State.erased, "recipient": State.erased
    }  # fmt: skip


def test_a_suppression_that_a_200_says_failed_is_failed_for_that_person_alone(running: Standing) -> None:
    server = running.stand_in.server
    for message in server.messages[:3]:
        server.bounce(message)
    running.control.configure(refuses=[address(2)])
    cohort = [person(n) for n in range(1, 4)]
    reports = carry_out(adapter(running), "erase", cohort, as_of=now(), calls=3)
    assert {r for r, report in reports.items() if report.state is State.failed} == {"request-2"}
    assert suppressed(running.control.state(), "outbound") == {address(2)}
    running.control.configure(refuses=[])
    assert carry_out(adapter(running), "erase", [person(2)], as_of=now())["request-2"].state is State.erased


def test_a_removal_is_pending_until_it_is_done(running: Standing) -> None:
    running.control.configure(removal_seconds=7_200)
    processor, as_of = adapter(running), now()
    [report] = processor.erase([person(1)], as_of=as_of)
    seen = [report.state]
    for hours in (1, 3):
        running.control.configure(clock_offset_seconds=hours * 3_600)
        one = replace(person(1), memo=report.memo)
        [report] = processor.settle([one], as_of=as_of + timedelta(hours=hours))
        seen.append(report.state)
    assert seen == [State.pending, State.pending, State.erased]
    assert running.calls("POST", "data-removals") == 1


def test_a_removal_that_takes_too_long_is_shown_as_failed(running: Standing) -> None:
    running.control.configure(removal_seconds=10**8)
    processor, as_of = adapter(running), now()
    [report] = processor.erase([person(1)], as_of=as_of)
    [report] = processor.settle([replace(person(1), memo=report.memo)], as_of=as_of + timedelta(days=15))
    assert (report.state, report.outcomes[-1].code) == (State.failed, "removal_overdue")


@pytest.mark.parametrize("off", ["feature", "token"])
def test_without_removals_messages_go_when_their_retention_is_over(running: Standing, off: str) -> None:
    running.control.configure(removals=off != "feature")
    processor = adapter(running, token=account_token(KEY) if off == "feature" else None)
    as_of = now()
    reports = {r.reference: r for r in processor.erase([person(1), person(2), NOBODY], as_of=as_of)}
    assert reports["request-0"].state is State.erased
    assert reports["request-1"].outcomes[-1].code == "removals_off"
    until = reports["request-1"].until
    assert until is not None
    assert abs(until - (as_of + timedelta(days=40))) < timedelta(minutes=1)
    assert running.calls("POST", "data-removals") == (off == "feature"), "asked once, not for everybody"
    before = len(running.said)
    one = replace(person(1), memo=reports["request-1"].memo)
    assert next(processor.settle([one], as_of=as_of + timedelta(days=39))).state is State.pending
    assert len(running.said) == before, "waiting costs no call"
    running.control.configure(clock_offset_seconds=41 * 86_400)
    assert next(processor.settle([one], as_of=as_of + timedelta(days=41))).state is State.erased


def test_a_bad_address_fails_alone_with_postmarks_code(running: Standing) -> None:
    cohort = [person(1), Person("request-bad", ("not an address",)), person(2), WITHOUT]
    reports = carry_out(adapter(running), "erase", cohort, as_of=now(), calls=3)
    assert reports["request-bad"].outcomes[-1].code == "postmark_300"
    assert {reports[f"request-{n}"].state for n in (1, 2)} == {State.erased}
    assert reports["request-none"].state is State.not_held


def test_an_objection_suppresses_every_address_on_the_mapped_streams_only(running: Standing) -> None:
    [report] = adapter(running).object_to([person(1, "old@practice.example")], MARKETING, as_of=now())
    assert (report.state, report.outcomes[0].count) == (State.stopped, 2)
    state = running.control.state()
    assert suppressed(state, "broadcast") == {address(1), "old@practice.example"}
    assert suppressed(state, "outbound") == set()


def test_an_objection_that_fails_for_one_inside_a_200_stops_no_other(running: Standing) -> None:
    running.control.configure(refuses=[address(60)])
    reports = list(adapter(running).object_to([person(n) for n in range(1, 121)], MARKETING, as_of=now()))
    assert [r.reference for r in reports if r.state is State.failed] == ["request-60"]
    assert len(suppressed(running.control.state(), "broadcast")) == 119
    assert running.calls("POST", "suppressions") == 3  # 50 a call


def test_a_purpose_that_nothing_here_serves_is_not_held(running: Standing) -> None:
    assert next(adapter(running).object_to([person(1)], "analytics.reporting", as_of=now())).state is (
        State.not_held
    )
    assert running.said == []


def test_a_stream_that_does_not_exist_concerns_everybody(running: Standing) -> None:
    mapped = shipped().model_copy(update={"objection": {MARKETING: "news"}})
    with pytest.raises(ProcessorRefusedError, match=r"stream news \(422, ErrorCode 1226\)"):
        list(adapter(running, mapped).object_to([person(1)], MARKETING, as_of=now()))


def test_a_restriction_stops_all_that_an_objection_could(running: Standing) -> None:
    mapped = shipped().model_copy(update={"objection": {MARKETING: "broadcast, outbound"}})
    reports = list(adapter(running, mapped).restrict([person(1), WITHOUT], as_of=now()))
    assert [r.state for r in reports] == [State.stopped, State.not_held]
    state = running.control.state()
    assert suppressed(state, "broadcast") == suppressed(state, "outbound") == {address(1)}


def test_nothing_is_corrected_but_an_opt_out_follows_to_the_new_address(running: Standing) -> None:
    server = running.stand_in.server
    server.suppress("broadcast", address(1), "ManualSuppression", "Recipient")
    server.suppress("broadcast", address(2), "SpamComplaint", "Recipient")
    values = {f"request-{n}": {"email": f"new{n}@practice.example"} for n in (1, 2, 3)}
    values["request-4"] = {"full_name": "Gwen Ogden"}
    before = running.control.state()["messages"]
    cohort = [person(n) for n in range(1, 5)]
    reports = carry_out(adapter(running), "rectify", cohort, as_of=now(), values=values)
    assert {r: report.state for r, report in reports.items()} == {
        "request-1": State.corrected, "request-2": State.corrected,
        "request-3": State.not_held, "request-4": State.not_held,
    }  # fmt: skip
    state = running.control.state()
    assert state["messages"] == before
    assert suppressed(state, "broadcast") == {
        "new1@practice.example", "new2@practice.example", address(2)
    }  # fmt: skip


def test_a_large_cohort_costs_one_removal_each_and_little_else(tmp_path: Path) -> None:
    with postmark(tmp_path, 300) as running:
        server = running.stand_in.server
        for message in server.messages[:120]:
            server.bounce(message)
        people = [person(n) for n in range(1, 301)]
        assert len(list(adapter(running).erase(people, as_of=now()))) == 300
        assert running.calls("GET", "message-streams") == 1 + 3  # the streams, and a list for each
        assert running.calls("POST", "suppressions/delete") == 3  # 50 a call
        assert running.calls("POST", "data-removals") == 300  # there is no batch
        assert len(running.said) == 307


def test_a_cohort_that_was_interrupted_goes_on_and_touches_nobody_else(tmp_path: Path) -> None:
    with postmark(tmp_path, 60) as running:
        people = [person(n) for n in range(1, 51)]
        assert len(list(islice(adapter(running).erase(people, as_of=now()), 7))) == 7
        reports = carry_out(adapter(running), "erase", people, as_of=now())
        assert {r.state for r in reports.values()} == {State.erased}
        assert mailed(running.control.state()) == {address(n) for n in range(51, 61)}


def test_people_of_the_platform_are_seeded_once(tmp_path: Path) -> None:
    with postmark(tmp_path, 0) as running:
        people = [{"account_id": n, "email": address(n), "former_emails": []} for n in range(200)]
        running.control.seed(people)
        state = running.control.state()
        assert state["messages"]
        assert state["opens"]
        assert state["bounces"]
        running.control.seed(people)
        assert running.control.state() == state


def test_nothing_personal_and_no_token_is_ever_logged_or_raised(
    running: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    processor, errors = adapter(running), []
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        list(processor.export([person(1)]))
        carry_out(processor, "erase", [person(1)], as_of=now())
        for status in (401, 418, 500):
            running.control.fail(kind="status", status=status, count=4)
            try:
                list(processor.erase([person(2)], as_of=now()))
            except Exception as error:  # every kind
                errors.append(f"{error!r} {error.__cause__!r}")
            running.control.clear_faults()
    assert len(errors) == 3
    for secret in ("practice.example", KEY):
        assert secret not in caplog.text + " ".join(errors)

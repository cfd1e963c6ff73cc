"""SendGrid as a processor: what is found, handed out, corrected, stopped and erased, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from include.privacy.connections import ConnectionInfo
from include.privacy.processors.advancing import FOUND_AGAIN
from include.privacy.processors.protocol import (
    Person,
    ProcessorRefusedError,
    ProcessorUnavailableError,
    Report,
    State,
)
from include.privacy.processors.sendgrid import connect
from tests.processors.matrix import carry_out
from tests.processors.sendgrid_account import (
    GROUP,
    KEY,
    MARKETING,
    account,
    adapter,
    emails,
    mailed,
    now,
    person,
    sendgrid,
    shipped,
)
from tests.processors.standing import Standing

NOBODY = Person("request-0", ("nobody@practice.example",))
WITHOUT = Person("request-none")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Standing]:
    with sendgrid(tmp_path, [account(n) for n in range(1, 6)]) as started:
        yield started


def states(report: Report) -> dict[str, State]:
    return {outcome.kind: outcome.state for outcome in report.outcomes}


def test_the_shipped_map_connects_and_its_collections_are_those_that_are_handed_out(
    running: Standing,
) -> None:
    for name in ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes"):
        running.stand_in.suppressions.put(name, "user1@practice.example")
    running.stand_in.suppressions.members[1001].add("user1@practice.example")
    connect(shipped(), ConnectionInfo("sendgrid", "generic", password=KEY), running.endpoint)
    [exported] = adapter(running).export([person(1)])
    assert exported.collections.keys() == shipped().collections.keys()
    assert exported.collections["contacts"][0]["first_name"] == "Gwen"
    assert exported.collections["messages"][0]["events"] == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {}}, "settings.letters_from"),
        ({"settings": {"letters_from": "a@b.example", "speed": 3}}, "settings.speed"),
        ({"objection": {MARKETING: "newsletter"}}, f"objection.{MARKETING}"),
        ({"keeps": {"contact": {"basis": "legal_claims", "reason": "x", "days": 1}}}, "keeps.contact"),
    ],
)
def test_wrong_settings_are_refused_by_name(change: dict[str, object], named: str) -> None:
    mapped = type(shipped()).model_validate(shipped().model_dump() | change)
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        connect(mapped, ConnectionInfo("sendgrid", "generic", password=KEY), None)


def test_a_connection_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="password"):
        connect(shipped(), ConnectionInfo("sendgrid", "generic"), None)


def test_preflight_names_missing_scopes_the_erase_job_and_groups_that_do_not_exist(running: Standing) -> None:
    assert adapter(running).preflight(as_of=now()).problems == ()
    running.control.configure(erase_job=False)
    found = adapter(running).preflight(as_of=now())
    assert found.features == {"erase_job": False}
    assert "recipients.erasejob.create" in found.problems[0]
    running.control.configure(scopes=["asm.groups.read"])
    mapped = shipped().model_copy(update={"objection": {MARKETING: "77"}})
    problems = adapter(running, mapped).preflight(as_of=now()).problems
    assert any("messages.read" in p for p in problems)
    assert any("no suppression group 77" in p for p in problems)


def test_who_is_not_known_has_nothing_and_a_404_is_no_error(running: Standing) -> None:
    found = list(adapter(running).find([NOBODY, WITHOUT]))
    assert [f.counts for f in found] == [{}, {}]


@pytest.mark.parametrize("people", [1, 5])
def test_one_and_many_are_found_alike(running: Standing, people: int) -> None:
    running.stand_in.suppressions.put("bounces", "user1@practice.example")
    running.stand_in.suppressions.put("unsubscribes", "user1@practice.example")
    running.stand_in.suppressions.members[1002].add("user1@practice.example")
    found = {f.reference: f.counts for f in adapter(running).find([person(n) for n in range(1, people + 1)])}
    assert found["request-1"] == {
        "contact": 1, "bounce": 1, "global_suppression": 1, "group_suppression": 1, "message": 3
    }  # fmt: skip


def test_lists_longer_than_the_cohort_are_not_read_to_their_end(running: Standing) -> None:
    for n in range(3_000):
        running.stand_in.suppressions.put("bounces", f"other{n}@practice.example")
    running.stand_in.suppressions.put("bounces", "user1@practice.example")
    found = {f.reference: f.counts for f in adapter(running).find([person(n) for n in range(1, 6)])}
    assert found["request-1"]["bounce"] == 1
    assert running.calls("GET", "/v3/suppression/bounces") == 5 + 5  # five pages were more than enough


def test_more_messages_than_an_answer_holds_are_handed_out_all(running: Standing) -> None:
    from include.sandbox.processors.sendgrid import Logged

    at = now() - timedelta(days=2)
    for n in range(1_500):
        sent = at + timedelta(seconds=n)
        running.stand_in._log.append(Logged(f"m{n}", "a@b.example", "user1@practice.example", "Hi", (), sent))
    fast = adapter(running)
    fast._messages.details = lambda message: message  # type: ignore[method-assign] # 1,500 calls of no interest
    [exported] = fast.export([person(1)])
    assert len({m["sg_message_id"] for m in exported.collections["messages"]}) == 1_503


def test_an_erasure_takes_contact_suppressions_and_messages_and_keeps_what_honours_an_objection(
    running: Standing,
) -> None:
    running.stand_in.suppressions.put("bounces", "user1@practice.example")
    running.stand_in.suppressions.put("bounces", "other@practice.example")
    running.stand_in.suppressions.members[1001].add("user1@practice.example")
    as_of = now()
    report = carry_out(adapter(running), "erase", [person(1)], as_of=as_of)["request-1"]
    assert states(report) == {
        "bounce": State.erased, "group_suppression": State.retained, "contact": State.erased,
        "recipient": State.erased,
    }  # fmt: skip
    kept = next(o for o in report.outcomes if o.state is State.retained)
    assert (kept.basis, kept.until) == ("legal_obligation", as_of + timedelta(days=1096))
    state = running.control.state()
    assert emails(state) == mailed(state) == {f"user{n}@practice.example" for n in range(2, 6)}
    assert state["suppressions"]["bounces"] == ["other@practice.example"]
    assert state["suppressions"]["groups"]["1001"] == ["user1@practice.example"]


def test_without_a_line_that_keeps_it_the_suppression_goes_too(running: Standing) -> None:
    running.stand_in.suppressions.put("unsubscribes", "user1@practice.example")
    running.stand_in.suppressions.members[1001].add("user1@practice.example")
    mapped = shipped().model_copy(update={"keeps": {}})
    carry_out(adapter(running, mapped), "erase", [person(1)], as_of=now())
    suppressions = running.control.state()["suppressions"]
    assert (suppressions["unsubscribes"], suppressions["groups"]["1001"]) == ([], [])


def test_the_call_that_empties_a_list_is_never_made(running: Standing) -> None:
    running.stand_in.suppressions.put("blocks", "user1@practice.example")
    carry_out(adapter(running), "erase", [person(1), NOBODY, WITHOUT], as_of=now())
    for exchange in running.said:
        assert "delete_all_contacts" not in exchange.request.query
        assert b"delete_all" not in exchange.request.body


def test_202_is_pending_until_nothing_is_found_any_more(running: Standing) -> None:
    running.control.configure(job_seconds=600, erase_seconds=3_600)
    processor, as_of = adapter(running), now()
    [report] = processor.erase([person(1)], as_of=as_of)
    seen = []
    for minutes in (0, 15, 70):
        running.control.configure(clock_offset_seconds=minutes * 60)
        one = replace(person(1), memo=report.memo)
        [report] = processor.settle([one], as_of=as_of + timedelta(minutes=minutes, seconds=1))
        seen.append(report.state)
    assert seen == [State.pending, State.pending, State.erased]


def test_a_job_that_takes_too_long_is_shown_as_failed_and_given_anew(running: Standing) -> None:
    running.control.configure(erase_seconds=10**6)
    processor, as_of = adapter(running), now()
    [report] = processor.erase([person(1)], as_of=as_of)
    one = replace(person(1), memo=report.memo)
    [report] = processor.settle([one], as_of=as_of + timedelta(days=3, seconds=1))
    assert (report.state, report.outcomes[-1].code, report.memo) == (State.failed, "job_overdue", {})
    running.control.configure(erase_seconds=0)
    done = carry_out(processor, "erase", [person(1)], as_of=now())
    assert done["request-1"].state is State.erased


def test_somebody_whom_a_job_does_not_get_rid_of_holds_nobody_up(
    running: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor, as_of = adapter(running), now()
    people = [person(n) for n in range(1, 4)]
    forget = running.stand_in._forget
    monkeypatch.setattr(running.stand_in, "_forget", lambda who, at: forget(who - {people[0].emails[0]}, at))
    memos = {r.reference: r.memo for r in processor.erase(people, as_of=as_of)}
    waiting = [replace(p, memo=memos[p.reference]) for p in people]
    soon = list(processor.settle(waiting, as_of=as_of + timedelta(hours=1)))
    assert {r.state for r in soon} == {State.pending}
    later = {r.reference: r.state for r in processor.settle(waiting, as_of=as_of + timedelta(hours=40))}
    assert later == {"request-1": State.pending, "request-2": State.erased, "request-3": State.erased}


def test_people_of_the_platform_are_seeded_once(running: Standing) -> None:
    people = [account(n, former_emails=[f"old{n}@practice.example"]) for n in range(1, 200)]
    running.control.seed(people)
    state = running.control.state()
    assert all(state["suppressions"][name] for name in ("bounces", "unsubscribes"))
    assert state["suppressions"]["groups"]["1001"]
    running.control.seed(people)
    assert running.control.state() == state


def test_without_the_erase_job_contacts_go_at_once_and_the_log_when_its_30_days_are_over(
    running: Standing,
) -> None:
    running.control.configure(erase_job=False)
    processor, as_of = adapter(running), now()
    [report] = processor.erase([person(1)], as_of=as_of)
    [report] = processor.settle([replace(person(1), memo=report.memo)], as_of=as_of + timedelta(minutes=15))
    newest = as_of - timedelta(days=3)
    assert report.state is State.pending
    assert report.outcomes[-1].code == "erase_job_off"
    assert report.until is not None
    assert abs(report.until - (newest + timedelta(days=30))) < timedelta(minutes=1)
    assert emails(running.control.state()) == {f"user{n}@practice.example" for n in range(2, 6)}
    before = len(running.said)
    one = replace(person(1), memo=report.memo)
    assert next(processor.settle([one], as_of=as_of + timedelta(days=20))).state is State.pending
    running.said[before:] = [e for e in running.said[before:] if "imports" not in e.request.path]
    assert len(running.said) == before, "waiting costs no look at the log"
    running.control.configure(clock_offset_seconds=28 * 86_400)
    assert next(processor.settle([one], as_of=as_of + timedelta(days=28))).state is State.erased
    assert running.calls("POST", "erasejob") == 0


def test_a_bad_address_fails_alone_and_is_named_by_a_code(running: Standing) -> None:
    cohort = [person(1), Person("request-bad", ("not an address",)), person(2)]
    reports = carry_out(adapter(running), "erase", cohort, as_of=now(), calls=3)
    assert reports["request-bad"].outcomes[-1].code == "invalid_address"
    assert {reports[f"request-{n}"].state for n in (1, 2)} == {State.erased}


@pytest.mark.parametrize("named", [True, False])
def test_an_erase_job_that_is_refused_for_some_is_given_for_the_others(
    running: Standing, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether SendGrid names them or not."""
    from include.sandbox.processors import sendgrid_erasure
    from include.sandbox.processors.exchange import Response

    original = sendgrid_erasure.erase_job

    def picky(account: object, body: bytes, json: dict[str, list[str]], forget: object) -> Response:
        if "user3@practice.example" in json["email_addresses"]:
            text = "Email_address user3@practice.example is not valid" if named else "no"
            return Response.of_json({"errors": [{"message": text, "field": "email_addresses"}]}, 400)
        return original(account, body, json, forget)  # type: ignore[arg-type]

    monkeypatch.setattr("include.sandbox.processors.sendgrid.erase_job", picky)
    cohort = [person(n) for n in range(1, 6)]
    reports = carry_out(adapter(running), "erase", cohort, as_of=now(), calls=4)
    assert {r for r, report in reports.items() if report.state is State.failed} == {"request-3"}
    assert mailed(running.control.state()) == {"user3@practice.example"}


def test_what_comes_back_after_an_erasure_is_found_by_the_probe(running: Standing) -> None:
    processor = adapter(running)
    carry_out(processor, "erase", [person(1)], as_of=now())
    assert [f.counts for f in processor.verify([person(1)], as_of=now())] == [{}]
    running.control.seed([account(1)])
    [found] = processor.verify([person(1)], as_of=now())
    assert found.counts == {"contact": 1, "message": 3}


def test_a_contact_that_survives_its_deletion_is_found_again(running: Standing) -> None:
    """The job says completed, the contact is there: done means probed absent."""
    running.stand_in.contacts._contacts["stuck"] = running.stand_in.contacts.describe()[0] | {"id": "stuck"}
    processor = adapter(running)
    processor._contacts.delete = lambda ids: {}  # type: ignore[method-assign] # verify looks by itself
    processor._erasure._contacts.delete = lambda ids: {}  # type: ignore[method-assign] # as if it were done
    reports = carry_out(processor, "erase", [person(1)], as_of=now(), calls=2)
    assert reports["request-1"].outcomes[-1].code == FOUND_AGAIN


def test_our_last_letter_about_the_erasure_is_no_residue(running: Standing) -> None:
    from include.sandbox.processors.sendgrid import Logged

    processor = adapter(running)
    carry_out(processor, "erase", [person(1)], as_of=now())
    letter = Logged("l1", "privacy@practice-engine.example", "user1@practice.example", "Done", (), now())
    running.stand_in._log.append(letter)
    assert [f.counts for f in processor.verify([person(1)], as_of=now())] == [{}]


def test_somebody_elses_contact_with_this_address_as_a_second_one_is_left_to_a_person(
    running: Standing,
) -> None:
    other = running.stand_in.contacts.describe()[1]
    other["alternate_emails"] = ["shared@practice.example"]
    shared = Person("request-shared", ("shared@practice.example",))
    [report] = adapter(running).erase([shared], as_of=now())
    assert (report.outcomes[0].state, report.outcomes[0].code) == (State.manual, "alternate_address")
    assert emails(running.control.state()) >= {other["email"]}


def test_a_new_address_is_a_new_contact_with_everything_the_old_one_had(running: Standing) -> None:
    old = next(c for c in running.control.state()["contacts"] if c["email"] == "user1@practice.example")
    running.stand_in.suppressions.members[1002].add("user1@practice.example")
    running.stand_in.suppressions.put("unsubscribes", "user1@practice.example")
    values = {"request-1": {"email": "New@practice.example", "full_name": "Gwen Mary Ogden"}}
    report = carry_out(adapter(running), "rectify", [person(1)], as_of=now(), values=values)["request-1"]
    assert set(states(report).values()) == {State.corrected}
    assert states(report).keys() == {"contact", "group_suppression", "global_suppression"}
    state = running.control.state()
    new = next(c for c in state["contacts"] if c["email"] == "new@practice.example")
    assert (new["first_name"], new["last_name"]) == ("Gwen Mary", "Ogden")
    for kept in ("external_id", "list_ids", "custom_fields", "country"):
        assert new[kept] == old[kept]
    assert "user1@practice.example" not in emails(state)
    assert state["suppressions"]["groups"]["1002"] == ["new@practice.example"]
    assert state["suppressions"]["unsubscribes"] == ["new@practice.example"]


def test_a_name_is_corrected_in_place_with_all_identifiers(running: Standing) -> None:
    values = {"request-1": {"full_name": "Grace Hopper"}}
    report = carry_out(adapter(running), "rectify", [person(1)], as_of=now(), values=values)["request-1"]
    contact = next(c for c in running.control.state()["contacts"] if c["email"] == "user1@practice.example")
    assert (report.state, contact["first_name"], contact["last_name"]) == (
        State.corrected, "Grace", "Hopper"
    )  # fmt: skip
    calls = running.calls("PUT")
    assert carry_out(adapter(running), "rectify", [person(1)], as_of=now(), values=values)
    assert running.calls("PUT") == calls, "what is right already is not written again"


def test_whoever_is_no_contact_has_nothing_to_correct(running: Standing) -> None:
    values = {"request-0": {"email": "x@practice.example"}}
    reports = carry_out(adapter(running), "rectify", [NOBODY], as_of=now(), values=values)
    assert reports["request-0"].state is State.not_held
    assert running.calls("PUT") == 0


def test_the_old_contact_stays_as_long_as_the_new_one_does_not_exist(running: Standing) -> None:
    running.control.configure(failing_jobs=["upsert"])
    values = {"request-1": {"email": "new@practice.example"}}
    reports = carry_out(adapter(running), "rectify", [person(1)], as_of=now(), values=values, calls=4)
    assert reports["request-1"].outcomes[0].code == "change_job_failed"
    assert "user1@practice.example" in emails(running.control.state())
    assert running.calls("DELETE") == 0


def test_an_objection_suppresses_every_address_in_the_mapped_group_only(running: Standing) -> None:
    [report] = adapter(running).object_to([person(1, "old1@practice.example")], MARKETING, as_of=now())
    assert (report.state, report.outcomes[0].count) == (State.stopped, 2)
    suppressions = running.control.state()["suppressions"]
    assert suppressions["groups"] == {"1001": ["old1@practice.example", "user1@practice.example"], "1002": []}
    assert suppressions["unsubscribes"] == []


def test_a_purpose_that_nothing_here_serves_is_not_held(running: Standing) -> None:
    [report] = adapter(running).object_to([person(1)], "analytics.reporting", as_of=now())
    assert report.state is State.not_held
    assert running.said == []


def test_a_group_that_does_not_exist_suppresses_nobody_globally(running: Standing) -> None:
    mapped = shipped().model_copy(update={"objection": {MARKETING: "77"}})
    with pytest.raises(ProcessorRefusedError, match="no suppression group 77"):
        list(adapter(running, mapped).object_to([person(1)], MARKETING, as_of=now()))
    assert running.control.state()["suppressions"]["unsubscribes"] == []


def test_a_restriction_stops_all_that_an_objection_could(running: Standing) -> None:
    mapped = shipped().model_copy(update={"objection": {MARKETING: GROUP, "analytics.reporting": "global"}})
    reports = list(adapter(running, mapped).restrict([person(1), WITHOUT], as_of=now()))
    assert [r.state for r in reports] == [State.stopped, State.not_held]
    suppressions = running.control.state()["suppressions"]
    assert suppressions["groups"]["1001"] == suppressions["unsubscribes"] == ["user1@practice.example"]


def test_a_refused_address_of_an_objection_stops_no_other(running: Standing) -> None:
    cohort = [person(1), Person("request-bad", ("not an address",)), person(2)]
    reports = {r.reference: r for r in adapter(running).object_to(cohort, MARKETING, as_of=now())}
    assert reports["request-bad"].state is State.failed
    assert reports["request-1"].state is reports["request-2"].state is State.stopped


def test_a_key_that_is_refused_concerns_everybody_and_says_what_to_do(running: Standing) -> None:
    running.stand_in._key = "SG.another"
    for act in (
        lambda p: p.preflight(as_of=now()),
        lambda p: list(p.find([person(1)])),
        lambda p: list(p.erase([person(1)], as_of=now())),
    ):
        with pytest.raises(ProcessorRefusedError, match="check the password"):
            act(adapter(running))


def test_a_window_that_is_used_up_is_waited_for_or_left_to_the_next_run(running: Standing) -> None:
    running.control.configure(limit=1, per_seconds=600)
    processor = adapter(running)
    with pytest.raises(ProcessorUnavailableError, match="stay away"):
        list(processor.find([person(1), person(2)]))


def test_five_thousand_people_are_erased_in_the_least_number_of_calls(tmp_path: Path) -> None:
    people = [account(n) for n in range(5_000)]
    with sendgrid(tmp_path, people) as running:
        for n in range(0, 5_000, 100):
            running.stand_in.suppressions.put("bounces", f"user{n}@practice.example")
        processor = adapter(running)
        reports = list(processor.erase([person(n) for n in range(5_000)], as_of=now()))
        made = {}
        for exchange in running.said:
            if exchange.response.status == 429:
                continue  # a slow machine bunches calls up; nothing was done, and it is asked again
            key = f"{exchange.request.method} {exchange.request.path}"
            made[key] = made.get(key, 0) + 1
        state = running.control.state()
    assert len({r.reference for r in reports}) == 5_000
    assert made == {
        "GET /v3/scopes": 1,
        "POST /v3/marketing/contacts/search/emails": 50,  # 100 addresses a call
        "DELETE /v3/marketing/contacts": 50,  # 100 ids a URL
        "GET /v3/suppression/bounces": 1,  # lists, not people
        "GET /v3/suppression/blocks": 1,
        "GET /v3/suppression/invalid_emails": 1,
        "GET /v3/suppression/spam_reports": 1,
        "GET /v3/suppression/unsubscribes": 1,
        "GET /v3/asm/groups": 1,
        "POST /v3/asm/groups/1001/suppressions/search": 5,  # 1,000 addresses a call
        "POST /v3/asm/groups/1002/suppressions/search": 5,
        "DELETE /v3/suppression/bounces": 1,
        "POST /v3/recipients/erasejob": 1,  # 5,000 addresses a job
    }
    assert (state["contacts"], state["log"], state["suppressions"]["bounces"]) == ([], [], [])


def test_while_a_job_is_under_way_a_sweep_costs_one_call_for_each_job(tmp_path: Path) -> None:
    with sendgrid(tmp_path, [account(n) for n in range(300)], erase_seconds=3_600) as running:
        processor, as_of = adapter(running), now()
        people = [person(n) for n in range(300)]
        memos = {r.reference: r.memo for r in processor.erase(people, as_of=as_of)}
        before = len(running.said)
        waiting = [replace(p, memo=memos[p.reference]) for p in people]
        assert {r.state for r in processor.settle(waiting, as_of=as_of)} == {State.pending}
        assert len(running.said) - before == 3 + 1  # three jobs of contacts, one look at the log


def test_a_cohort_that_was_interrupted_goes_on_and_touches_nobody_else(tmp_path: Path) -> None:
    with sendgrid(tmp_path, [account(n) for n in range(60)]) as running:
        processor = adapter(running)
        people = [person(n) for n in range(50)]
        assert len(list(islice(processor.erase(people, as_of=now()), 7))) == 7
        reports = carry_out(adapter(running), "erase", people, as_of=now())
        state = running.control.state()
    assert {r.state for r in reports.values()} == {State.erased}
    assert emails(state) == mailed(state) == {f"user{n}@practice.example" for n in range(50, 60)}


def test_nothing_personal_and_no_key_is_ever_logged_or_raised(
    running: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    processor = adapter(running)
    for name in ("python_http_client", "python_http_client.client", "sendgrid", "urllib3"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    errors = []
    with caplog.at_level(logging.DEBUG):
        list(processor.export([person(1)]))
        values = {"request-1": {"email": "new@practice.example", "full_name": "Gwen Ogden"}}
        carry_out(processor, "rectify", [person(1)], as_of=now(), values=values)
        for status in (403, 418, 500):
            running.control.fail(kind="status", status=status, count=4, path="contacts/search")
            try:
                list(processor.erase([person(2)], as_of=now()))
            except Exception as error:  # every kind
                errors.append(f"{error!r} {error.__cause__!r}")
            running.control.clear_faults()
    everything = caplog.text + " ".join(errors)
    assert len(errors) == 3
    for secret in ("practice.example", "Gwen", "Ogden", KEY):
        assert secret not in everything

"""The ledger: one object through which everything that happened is written and read.

A thin front. Each method opens one transaction and calls the function of the same name; what it
means and what it raises is written there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import update_wrapper
from typing import Concatenate, ParamSpec, Self, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger import archives as _archives
from include.privacy.ledger import breaches as _breaches
from include.privacy.ledger import callbacks as _callbacks
from include.privacy.ledger import claims as _claims
from include.privacy.ledger import closing as _closing
from include.privacy.ledger import cohorts as _cohorts
from include.privacy.ledger import deadlines as _deadlines
from include.privacy.ledger import decisions as _decisions
from include.privacy.ledger import drills as _drills
from include.privacy.ledger import evidence as _evidence
from include.privacy.ledger import fencing as _fencing
from include.privacy.ledger import holds as _holds
from include.privacy.ledger import letters as _letters
from include.privacy.ledger import moving as _moving
from include.privacy.ledger import notice_audience as _notice_audience
from include.privacy.ledger import notice_campaigns as _notice_campaigns
from include.privacy.ledger import notice_coverage as _notice_coverage
from include.privacy.ledger import notice_proof as _notice_proof
from include.privacy.ledger import notice_sending as _notice_sending
from include.privacy.ledger import outcomes as _outcomes
from include.privacy.ledger import plans as _plans
from include.privacy.ledger import policy_in_force as _policy_in_force
from include.privacy.ledger import probes as _probes
from include.privacy.ledger import quarantine as _quarantine
from include.privacy.ledger import receiving as _receiving
from include.privacy.ledger import recipient_results as _recipient_results
from include.privacy.ledger import recipient_tasks as _recipient_tasks
from include.privacy.ledger import recipients as _recipients
from include.privacy.ledger import records as _records
from include.privacy.ledger import refusing as _refusing
from include.privacy.ledger import requests as _requests
from include.privacy.ledger import resuming as _resuming
from include.privacy.ledger import runs as _runs
from include.privacy.ledger import settling as _settling
from include.privacy.ledger import tombstones as _tombstones
from include.privacy.ledger import turns as _turns
from include.privacy.ledger import verification as _verification
from include.privacy.ledger.engine import ledger_engine
from include.privacy.ledger.gate import LedgerHoldGate
from include.privacy.ledger.sealing import Sealer
from include.privacy.planning.models import Cohort, Member

P = ParamSpec("P")
R = TypeVar("R")


def _plain(function: Callable[Concatenate[Session, P], R]) -> Callable[Concatenate[Ledger, P], R]:
    """A method that runs ``function`` in a transaction of its own."""

    def method(self: Ledger, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.sessions.begin() as session:
            return function(session, *args, **kwargs)

    update_wrapper(method, function)
    return method


def _sealed(function: Callable[Concatenate[Session, Sealer, P], R]) -> Callable[Concatenate[Ledger, P], R]:
    """The same for a function that seals or unseals."""

    def method(self: Ledger, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.sessions.begin() as session:
            return function(session, self.sealer, *args, **kwargs)

    update_wrapper(method, function)
    return method


class Ledger:
    """What happened: runs, requests, cohorts, plans, holds, tombstones, probes, breaches, evidence.

    ``url`` is the DAG role's connection, ``master_key`` 32 bytes that live outside the database,
    ``policy_version`` what the evidence of a request's steps names as the policy in force.
    Connects at first use. Every method may be called twice, also by two tasks at once.
    """

    def __init__(self, url: str, master_key: bytes, policy_version: str | None = None) -> None:
        self.engine = ledger_engine(url)
        self.sealer = Sealer(master_key)
        self.sessions = sessionmaker(
            self.engine, expire_on_commit=False, info={_requests.POLICY: policy_version}
        )

    open_run = _plain(_runs.open_run)
    close_run = _plain(_runs.close_run)
    run = _plain(_runs.run)
    latest_run = _plain(_runs.latest_run)
    record_policy_version = _plain(_runs.record_policy_version)

    receive_request = _sealed(_receiving.receive_request)
    acknowledge_request = _plain(_receiving.acknowledge_request)
    verify_request = _plain(_receiving.verify_request)
    extend_request = _plain(_receiving.extend_request)
    begin_refusal = _plain(_refusing.begin_refusal)
    withdraw_request = _plain(_closing.withdraw_request)
    claim_requests = _sealed(_claims.claim_requests)
    renew_claims = _plain(_claims.renew_claims)
    transition = _plain(_requests.transition)
    transition_all = _plain(_moving.transition_all)
    note_details = _sealed(_moving.note_details)
    close_request = _plain(_closing.close_request)
    request = _sealed(_requests.request)
    requests = _sealed(_requests.requests)
    requests_of = _sealed(_requests.requests_of)
    find_request = _sealed(_requests.find_request)
    find_requests = _sealed(_requests.find_requests)

    issue_token = _plain(_verification.issue_token)
    redeem_token = _sealed(_verification.redeem_token)

    claim_letter = _plain(_letters.claim_letter)
    claim_letter_again = _plain(_letters.claim_letter_again)
    settle_letter = _plain(_letters.settle_letter)
    letters = _plain(_letters.letters)
    unsettled_letters = _plain(_letters.unsettled_letters)
    requests_without_letter = _plain(_letters.requests_without_letter)

    intend_archive = _plain(_archives.intend_archive)
    record_archive = _plain(_archives.record_archive)
    archives = _plain(_archives.archives)
    expired_archives = _plain(_archives.expired_archives)
    revoke_archives = _plain(_archives.revoke_archives)
    record_archive_deleted = _plain(_archives.record_archive_deleted)

    ask_decision = _sealed(_decisions.ask_decision)
    answer_decision = _sealed(_decisions.answer_decision)
    present_decision = _plain(_decisions.present_decision)
    decisions_to_present = _sealed(_settling.decisions_to_present)
    ask_again = _plain(_settling.ask_again)
    unapplied_decisions = _sealed(_settling.unapplied_decisions)
    settle_decision = _plain(_settling.settle_decision)
    decision = _sealed(_decisions.decision)
    decisions = _sealed(_decisions.decisions)

    open_recipient_tasks = _sealed(_recipient_tasks.open_recipient_tasks)
    claim_recipient_tasks = _sealed(_recipient_tasks.claim_recipient_tasks)
    record_task_results = _sealed(_recipient_results.record_task_results)
    release_recipient_tasks = _plain(_recipient_tasks.release_recipient_tasks)
    settle_by_hand = _plain(_recipient_results.settle_by_hand)
    recipient_tasks = _sealed(_recipient_tasks.recipient_tasks)
    due_recipients = _plain(_recipient_tasks.due_recipients)
    failing_recipients = _plain(_recipient_tasks.failing_recipients)

    record_recipient = _plain(_recipients.record_recipient)
    record_recipients = _plain(_recipients.record_recipients)
    recipients = _plain(_recipients.recipients)

    remind_once = _plain(_deadlines.remind_once)
    reminders = _plain(_deadlines.reminders)

    propose_notice = _plain(_notice_campaigns.propose_notice)
    notice_campaign = _plain(_notice_campaigns.notice_campaign)
    notice_campaigns = _plain(_notice_campaigns.notice_campaigns)
    withdraw_notice = _plain(_notice_campaigns.withdraw_notice)
    present_notice = _plain(_notice_campaigns.present_notice)
    decide_notice = _sealed(_notice_campaigns.decide_notice)
    begin_sending = _sealed(_notice_campaigns.begin_sending)
    steer_notice = _plain(_notice_campaigns.steer_notice)
    sending_may_go_on = _plain(_notice_campaigns.sending_may_go_on)
    move_notice = _plain(_notice_campaigns.move_notice)
    prove_notice = _plain(_notice_campaigns.prove_notice)
    note_report = _plain(_notice_campaigns.note_report)
    note_outage = _plain(_notice_campaigns.note_outage)
    note_announced = _plain(_notice_campaigns.note_announced)
    note_accepted = _plain(_policy_in_force.note_accepted)
    enter_into_force = _plain(_policy_in_force.enter_into_force)
    policy_in_force = _plain(_policy_in_force.policy_in_force)
    freeze_audience = _sealed(_notice_audience.freeze_audience)
    forget_hearers = _sealed(_notice_audience.forget_hearers)
    audience_count = _plain(_notice_audience.audience_count)
    told_late = _sealed(_notice_audience.told_late)
    claim_batch = _sealed(_notice_sending.claim_batch)
    record_accepted = _plain(_notice_sending.record_accepted)
    give_batch_back = _plain(_notice_sending.give_batch_back)
    doubt_batches = _plain(_notice_sending.doubt_batches)
    doubt_batch = _plain(_notice_sending.doubt_batch)
    redirect_queue = _plain(_notice_sending.redirect_queue)
    waiting_by_provider = _plain(_notice_sending.waiting_by_provider)
    batches_to_look_at = _plain(_notice_proof.batches_to_look_at)
    record_fates = _sealed(_notice_proof.record_fates)
    record_events = _sealed(_notice_proof.record_events)
    written_to = _sealed(_notice_proof.written_to)
    undeliverable = _sealed(_notice_proof.undeliverable)
    record_told_in_app = _plain(_notice_proof.record_told_in_app)
    coverage = _plain(_notice_coverage.coverage)

    queue_callback = _plain(_callbacks.queue_callback)
    open_callback_addresses = _plain(_callbacks.open_callback_addresses)
    claim_callbacks = _plain(_callbacks.claim_callbacks)
    record_callback = _plain(_callbacks.record_callback)

    quarantine = _sealed(_quarantine.quarantine)
    quarantined = _sealed(_quarantine.quarantined)

    cohort_requests = _sealed(_cohorts.cohort_requests)
    destroy_cohort = _plain(_cohorts.destroy_cohort)

    save_plan = _plain(_plans.save_plan)
    plan = _plain(_plans.plan)
    plan_state = _plain(_plans.plan_state)
    plans = _plain(_plans.plans)
    park_plan = _plain(_plans.park_plan)
    decide_plan = _sealed(_plans.decide_plan)
    decided_by = _sealed(_plans.decided_by)
    parked_plans = _plain(_plans.parked_plans)
    approved_plans = _plain(_plans.approved_plans)
    record_intent = _plain(_plans.record_intent)
    move_plan = _plain(_plans.move_plan)

    record_outcome = _plain(_outcomes.record_outcome)
    outcomes = _plain(_outcomes.outcomes)
    record_batch_intent = _plain(_outcomes.record_batch_intent)
    record_batch_done = _plain(_outcomes.record_batch_done)
    open_batches = _plain(_outcomes.open_batches)

    plans_in = _plain(_resuming.plans_in)
    plan_outcomes = _plain(_resuming.plan_outcomes)
    cohorts_of_requests = _plain(_resuming.cohorts_of_requests)
    cohorts_without_probes = _plain(_resuming.cohorts_without_probes)

    place_hold = _sealed(_holds.place_hold)
    release_hold = _sealed(_holds.release_hold)
    hold_rows = _sealed(_holds.hold_rows)
    holds = _sealed(_holds.holds)

    write_tombstones = _sealed(_tombstones.write_tombstones)
    match_tombstones = _sealed(_tombstones.match_tombstones)
    expire_tombstones = _plain(_tombstones.expire_tombstones)

    schedule_probe = _plain(_probes.schedule_probe)
    due_probes = _plain(_probes.due_probes)
    pending_probes = _plain(_probes.pending_probes)
    record_probe = _plain(_probes.record_probe)

    record_breach = _plain(_breaches.record_breach)
    resolve_breaches = _plain(_breaches.resolve_breaches)
    open_breaches = _plain(_breaches.open_breaches)

    begin_drill = _sealed(_drills.begin_drill)
    move_drill = _sealed(_drills.move_drill)
    latest_drill = _sealed(_drills.latest_drill)

    append_evidence = _plain(_evidence.append_evidence)
    evidence = _plain(_evidence.evidence)

    purge_records = _plain(_records.purge_records)
    overdue_records = _plain(_records.overdue_records)

    def freeze_cohort(
        self, members: Iterable[Member], origin: str, run_id: UUID, request_ids: Sequence[UUID] = ()
    ) -> Cohort:
        """See :func:`cohorts.freeze_cohort`."""
        return _cohorts.freeze_cohort(self.sessions, self.sealer, members, origin, run_id, request_ids)

    def cohort(self, cohort_id: UUID) -> Cohort:
        """See :func:`cohorts.cohort`."""
        return _cohorts.cohort(self.sessions, self.sealer, cohort_id)

    def hold_gate(self) -> LedgerHoldGate:
        """A gate to be entered for every chunk; see :class:`LedgerHoldGate`."""
        return LedgerHoldGate(self.sessions, self.sealer)

    def turn(self, name: str, patience: timedelta = _turns.PATIENCE) -> AbstractContextManager[None]:
        """Be the only task that works with ``name`` (a processor) inside the block."""
        return _turns.turn(self.engine, name, patience)

    def take_over(self, plan_id: UUID, step: str) -> _fencing.Fence:
        """See :func:`fencing.take_over`."""
        return _fencing.take_over(self.sessions, plan_id, step)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

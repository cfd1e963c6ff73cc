"""The ledger: one object through which everything that happened is written and read.

A thin front. Each method opens one transaction and calls the function of the same name; what it
means and what it raises is written there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from uuid import UUID

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
from include.privacy.ledger import former_identifiers as _former_identifiers
from include.privacy.ledger import holds as _holds
from include.privacy.ledger import journal as _journal
from include.privacy.ledger import letters as _letters
from include.privacy.ledger import moving as _moving
from include.privacy.ledger import outcomes as _outcomes
from include.privacy.ledger import own_retention as _own_retention
from include.privacy.ledger import plans as _plans
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
from include.privacy.ledger.evidence_front import EvidenceFront
from include.privacy.ledger.front import plain, sealed
from include.privacy.ledger.gate import LedgerHoldGate
from include.privacy.ledger.notice_front import NoticeFront
from include.privacy.planning.models import Cohort, Member


class Ledger(NoticeFront, EvidenceFront):
    """What happened: runs, requests, cohorts, plans, holds, tombstones, probes, breaches, evidence.

    ``url`` is the DAG role's connection, ``master_key`` 32 bytes that live outside the database,
    ``policy_version`` what the evidence of a request's steps names as the policy in force.
    Connects at first use. Every method may be called twice, also by two tasks at once.
    """

    open_run = plain(_runs.open_run)
    run = plain(_runs.run)
    latest_run = plain(_runs.latest_run)
    record_policy_version = plain(_runs.record_policy_version)

    receive_request = sealed(_receiving.receive_request)
    acknowledge_request = plain(_receiving.acknowledge_request)
    verify_request = plain(_receiving.verify_request)
    extend_request = plain(_receiving.extend_request)
    begin_refusal = plain(_refusing.begin_refusal)
    withdraw_request = plain(_closing.withdraw_request)
    claim_requests = sealed(_claims.claim_requests)
    renew_claims = plain(_claims.renew_claims)
    transition = plain(_requests.transition)
    transition_all = plain(_moving.transition_all)
    note_details = sealed(_moving.note_details)
    close_request = plain(_closing.close_request)
    request = sealed(_requests.request)
    requests = sealed(_requests.requests)
    requests_of = sealed(_requests.requests_of)
    find_request = sealed(_requests.find_request)
    find_requests = sealed(_requests.find_requests)

    issue_token = plain(_verification.issue_token)
    redeem_token = sealed(_verification.redeem_token)

    claim_letter = plain(_letters.claim_letter)
    claim_letter_again = plain(_letters.claim_letter_again)
    settle_letter = plain(_letters.settle_letter)
    letters = plain(_letters.letters)
    unsettled_letters = plain(_letters.unsettled_letters)
    requests_without_letter = plain(_letters.requests_without_letter)

    intend_archive = plain(_archives.intend_archive)
    record_archive = plain(_archives.record_archive)
    archives = plain(_archives.archives)
    expired_archives = plain(_archives.expired_archives)
    revoke_archives = plain(_archives.revoke_archives)
    record_archive_deleted = plain(_archives.record_archive_deleted)

    ask_decision = sealed(_decisions.ask_decision)
    answer_decision = sealed(_decisions.answer_decision)
    present_decision = plain(_decisions.present_decision)
    decisions_to_present = sealed(_settling.decisions_to_present)
    ask_again = plain(_settling.ask_again)
    unapplied_decisions = sealed(_settling.unapplied_decisions)
    settle_decision = plain(_settling.settle_decision)
    decision = sealed(_decisions.decision)
    decisions = sealed(_decisions.decisions)

    open_recipient_tasks = sealed(_recipient_tasks.open_recipient_tasks)
    claim_recipient_tasks = sealed(_recipient_tasks.claim_recipient_tasks)
    record_task_results = sealed(_recipient_results.record_task_results)
    release_recipient_tasks = plain(_recipient_tasks.release_recipient_tasks)
    settle_by_hand = plain(_recipient_results.settle_by_hand)
    recipient_tasks = sealed(_recipient_tasks.recipient_tasks)
    due_recipients = plain(_recipient_tasks.due_recipients)
    failing_recipients = plain(_recipient_tasks.failing_recipients)

    record_recipient = plain(_recipients.record_recipient)
    record_recipients = plain(_recipients.record_recipients)
    recipients = plain(_recipients.recipients)

    remind_once = plain(_deadlines.remind_once)
    reminders = plain(_deadlines.reminders)

    queue_callback = plain(_callbacks.queue_callback)
    open_callback_addresses = plain(_callbacks.open_callback_addresses)
    claim_callbacks = plain(_callbacks.claim_callbacks)
    record_callback = plain(_callbacks.record_callback)

    quarantine = sealed(_quarantine.quarantine)
    quarantined = sealed(_quarantine.quarantined)

    cohort_requests = sealed(_cohorts.cohort_requests)
    destroy_cohort = plain(_cohorts.destroy_cohort)

    save_plan = plain(_plans.save_plan)
    plan = plain(_plans.plan)
    plan_state = plain(_plans.plan_state)
    plans = plain(_plans.plans)
    park_plan = plain(_plans.park_plan)
    decide_plan = sealed(_plans.decide_plan)
    decided_by = sealed(_plans.decided_by)
    parked_plans = plain(_plans.parked_plans)
    approved_plans = plain(_plans.approved_plans)
    record_intent = plain(_plans.record_intent)
    move_plan = plain(_plans.move_plan)

    record_outcome = plain(_outcomes.record_outcome)
    outcomes = plain(_outcomes.outcomes)
    record_batch_intent = plain(_outcomes.record_batch_intent)
    record_batch_done = plain(_outcomes.record_batch_done)
    open_batches = plain(_outcomes.open_batches)

    plans_in = plain(_resuming.plans_in)
    plan_outcomes = plain(_resuming.plan_outcomes)
    cohorts_of_requests = plain(_resuming.cohorts_of_requests)
    cohorts_without_probes = plain(_resuming.cohorts_without_probes)

    place_hold = sealed(_holds.place_hold)
    release_hold = sealed(_holds.release_hold)
    hold_rows = sealed(_holds.hold_rows)
    holds = sealed(_holds.holds)

    write_tombstones = sealed(_tombstones.write_tombstones)
    match_tombstones = sealed(_tombstones.match_tombstones)
    erasures_of = sealed(_tombstones.erasures_of)
    expire_tombstones = plain(_tombstones.expire_tombstones)

    note_in_journal = sealed(_journal.note_in_journal)
    forget_people = sealed(_journal.forget_people)

    note_former_identifiers = sealed(_former_identifiers.note_former_identifiers)
    former_identifiers = sealed(_former_identifiers.former_identifiers)
    forget_former_identifiers = sealed(_former_identifiers.forget_former_identifiers)

    schedule_probe = plain(_probes.schedule_probe)
    due_probes = plain(_probes.due_probes)
    pending_probes = plain(_probes.pending_probes)
    record_probe = plain(_probes.record_probe)

    record_breach = plain(_breaches.record_breach)
    resolve_breaches = plain(_breaches.resolve_breaches)
    open_breaches = plain(_breaches.open_breaches)

    append_evidence = plain(_evidence.append_evidence)
    evidence = plain(_evidence.evidence)

    begin_drill = sealed(_drills.begin_drill)
    move_drill = sealed(_drills.move_drill)
    latest_drill = sealed(_drills.latest_drill)

    purge_records = plain(_records.purge_records)
    overdue_records = plain(_records.overdue_records)

    def freeze_cohort(
        self, members: Iterable[Member], origin: str, run_id: UUID, request_ids: Sequence[UUID] = ()
    ) -> Cohort:
        """See :func:`cohorts.freeze_cohort`."""
        return _cohorts.freeze_cohort(self.sessions, self.sealer, members, origin, run_id, request_ids)

    def cohort(self, cohort_id: UUID) -> Cohort:
        """See :func:`cohorts.cohort`."""
        return _cohorts.cohort(self.sessions, self.sealer, cohort_id)

    def journal(self, action: str, since: datetime | None) -> Iterator[_journal.Entry]:
        """See :func:`journal.journal`."""
        return _journal.journal(self.sessions, self.sealer, action, since)

    def expire_own_records(self, as_of: datetime, *, dry_run: bool = False, **periods: int) -> dict[str, int]:
        """See :func:`own_retention.expire_own_records`."""
        return _own_retention.expire_own_records(self.sessions, as_of, dry_run=dry_run, **periods)

    def hold_gate(self) -> LedgerHoldGate:
        """A gate to be entered for every chunk; see :class:`LedgerHoldGate`."""
        return LedgerHoldGate(self.sessions, self.sealer)

    def turn(self, name: str, patience: timedelta = _turns.PATIENCE) -> AbstractContextManager[None]:
        """Be the only task that works with ``name`` (a processor) inside the block."""
        return _turns.turn(self.engine, name, patience)

    def take_over(self, plan_id: UUID, step: str) -> _fencing.Fence:
        """See :func:`fencing.take_over`."""
        return _fencing.take_over(self.sessions, plan_id, step)

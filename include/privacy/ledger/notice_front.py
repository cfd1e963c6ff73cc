"""The part of the ledger's front that policy notices use."""

from __future__ import annotations

from include.privacy.ledger import notice_audience as _notice_audience
from include.privacy.ledger import notice_campaigns as _notice_campaigns
from include.privacy.ledger import notice_coverage as _notice_coverage
from include.privacy.ledger import notice_late_bounces as _notice_late_bounces
from include.privacy.ledger import notice_proof as _notice_proof
from include.privacy.ledger import notice_sending as _notice_sending
from include.privacy.ledger import policy_in_force as _policy_in_force
from include.privacy.ledger.front import Front, plain, sealed


class NoticeFront(Front):
    """Campaigns, audiences, batches, coverage, and which version is in force."""

    propose_notice = plain(_notice_campaigns.propose_notice)
    notice_campaign = plain(_notice_campaigns.notice_campaign)
    notice_campaigns = plain(_notice_campaigns.notice_campaigns)
    withdraw_notice = plain(_notice_campaigns.withdraw_notice)
    present_notice = plain(_notice_campaigns.present_notice)
    decide_notice = sealed(_notice_campaigns.decide_notice)
    begin_sending = sealed(_notice_campaigns.begin_sending)
    steer_notice = plain(_notice_campaigns.steer_notice)
    sending_may_go_on = plain(_notice_campaigns.sending_may_go_on)
    move_notice = plain(_notice_campaigns.move_notice)
    prove_notice = plain(_notice_campaigns.prove_notice)
    note_report = plain(_notice_campaigns.note_report)
    note_outage = plain(_notice_campaigns.note_outage)
    note_announced = plain(_notice_campaigns.note_announced)
    note_accepted = plain(_policy_in_force.note_accepted)
    enter_into_force = plain(_policy_in_force.enter_into_force)
    policy_in_force = plain(_policy_in_force.policy_in_force)
    freeze_audience = sealed(_notice_audience.freeze_audience)
    forget_hearers = sealed(_notice_audience.forget_hearers)
    told_late = sealed(_notice_audience.told_late)
    claim_batch = sealed(_notice_sending.claim_batch)
    record_accepted = plain(_notice_sending.record_accepted)
    give_batch_back = plain(_notice_sending.give_batch_back)
    doubt_batches = plain(_notice_sending.doubt_batches)
    doubt_batch = plain(_notice_sending.doubt_batch)
    redirect_queue = plain(_notice_sending.redirect_queue)
    waiting_by_provider = plain(_notice_sending.waiting_by_provider)
    batches_to_look_at = plain(_notice_proof.batches_to_look_at)
    record_fates = sealed(_notice_proof.record_fates)
    record_events = sealed(_notice_proof.record_events)
    providers_used = plain(_notice_late_bounces.providers_used)
    record_late_bounces = sealed(_notice_late_bounces.record_late_bounces)
    written_to = sealed(_notice_proof.written_to)
    undeliverable = sealed(_notice_proof.undeliverable)
    erased_meanwhile = plain(_notice_audience.erased_meanwhile)
    record_left = plain(_notice_proof.record_left)
    record_told_in_app = plain(_notice_proof.record_told_in_app)
    coverage = plain(_notice_coverage.coverage)

"""The send loop: claim, call, write down; whatever happens in between, nobody is written to twice."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID

from include.privacy.notices.campaigns import settings
from include.privacy.notices.gathering import find
from include.privacy.notices.pace import PeoplePace
from include.privacy.runtime import runtime
from include.privacy.steps import runs

if TYPE_CHECKING:
    from datetime import datetime

    from include.privacy.ledger.notice_campaigns import CampaignRow
    from include.privacy.ledger.notice_sending import ClaimedBatch
    from include.privacy.letters.letter import Letter
    from include.privacy.mail.bulk import BulkMail

log = logging.getLogger(__name__)

FAILURES = 3
"""So many calls in a row without an answer, and the provider counts as down until the next run."""
BUSY_PAUSE_S = 5.0


class Lanes:
    """Several calls at once to one provider, under one pace."""

    def __init__(self, row: CampaignRow, mail: BulkMail) -> None:
        from include.privacy.letters.notices import NoticeWriter

        config, how = runtime().config(), settings()
        self._row, self._mail, self._how = row, mail, how
        self._fallback = how.fallback if how.fallback != mail.name else None
        notice = config.notices.notice(row.version)
        self._writer = NoticeWriter(notice, config.notices, config.letters, config.policy.timezone)
        self._letters: dict[str, Letter] = {}
        self._pace = PeoplePace(row.people_per_minute or how.people_per_minute)
        self._lock, self._claiming = threading.Lock(), threading.Lock()
        self._limit = mail.capacity
        self._failures = 0
        self.accepted = 0
        self.down = False

    def run(self) -> None:
        """Until the queue is empty, somebody stops the campaign, or the provider is down."""
        with ThreadPoolExecutor(self._how.at_once, thread_name_prefix="notice") as pool:
            for lane in [pool.submit(self._lane) for _ in range(self._how.at_once)]:
                lane.result()

    def _lane(self) -> None:
        ledger = runtime().ledger()
        while not self.down:
            go_on, pace = ledger.sending_may_go_on(self._row.id)
            if not go_on:
                log.warning("version %s: somebody has stopped the campaign", self._row.version)
                return
            self._pace.change(pace or self._how.people_per_minute)
            self._pace.wait()
            with self._claiming:
                if self._pace.pause() > 0:  # another lane has just taken this turn
                    continue
                batch = ledger.claim_batch(
                    self._row.id, self._mail.name, self._limit, find, runs.current_instant()
                )
                if batch is None:
                    return
                self._pace.took(len(batch.people))
            if batch.people:
                self._call(batch)

    def _call(self, batch: ClaimedBatch) -> None:
        from include.privacy.mail.bulk import Addressed
        from include.privacy.mail.port import (
            MailBusyError,
            MailRejectedError,
            MailUnavailableError,
            MailUncertainError,
        )

        ledger = runtime().ledger()
        to = [Addressed(token.hex, address) for token, address in batch.people]
        try:
            receipt = self._mail.send(self._letter(batch.language), to, batch=batch.id.hex)
        except MailBusyError as error:
            self._again(batch)
            self._pace.stay_away(_seconds_until(error.retry_at))
        except MailRejectedError as error:
            self._rejected(batch, str(error))
        except MailUnavailableError as error:
            self._again(batch)
            self._failed(str(error))
        except MailUncertainError as error:
            ledger.doubt_batch(batch.id, runs.current_instant())
            self._failed(str(error))
        else:
            refused = {
                UUID(each.reference): (each.of_address, each.reason)
                for each in receipt.results
                if not each.accepted
            }
            ledger.record_accepted(batch.id, runs.current_instant(), refused, self._fallback)
            with self._lock:
                self._failures = 0
                self._limit = min(self._limit * 2, self._mail.capacity)
                self.accepted += len(to) - len(refused)
                log.info(
                    "version %s: %d people written to by %s",
                    self._row.version,
                    self.accepted,
                    self._mail.name,
                )

    def _letter(self, language: str) -> Letter:
        with self._lock:
            if language not in self._letters:
                self._letters[language] = self._writer.write(language, effective=self._row.effective_on)
            return self._letters[language]

    def _again(self, batch: ClaimedBatch) -> None:
        runtime().ledger().give_batch_back(batch.id, batch.provider)

    def _rejected(self, batch: ClaimedBatch, why: str) -> None:
        """The call as a whole is refused, and one of its people is why: halve until that one is alone."""
        log.warning("%s", why)
        if len(batch.people) == 1:
            refused = {batch.people[0][0]: (False, "rejected")}
            runtime().ledger().record_accepted(batch.id, runs.current_instant(), refused, self._fallback)
            return
        self._again(batch)
        with self._lock:
            self._limit = max(1, len(batch.people) // 2)

    def _failed(self, why: str) -> None:
        log.warning("%s", why)
        with self._lock:
            self._failures += 1
            self.down = self.down or self._failures >= FAILURES


def _seconds_until(retry_at: datetime | None) -> float:
    if retry_at is None:
        return BUSY_PAUSE_S
    return min(max((retry_at - runs.current_instant()).total_seconds(), 0.1), 120.0)

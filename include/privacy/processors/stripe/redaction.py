"""Stripe's redaction jobs, a preview: create, validate, repair, run, poll.

https://docs.stripe.com/privacy/redaction. One job is one person's: running it cannot be undone, so that
a hold or a dispute must be able to stop one person and no other, and what one person's objects lack
fails no other's (docs/DECISIONS.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from include.privacy.processors.protocol import Person, ProcessorRefusedError
from include.privacy.processors.stripe.client import CallRefusedError, Calls

JOBS = "/v1/privacy/redaction_jobs"
PER_JOB = 10
"""Objects in one job, as Stripe allows."""
LOCKED = "locked_by_other_job"
TOO_MANY = "too_many_objects"

Job = Mapping[str, Any]
"""As the memo has it: ``id``, ``customers``, and how often it was ``validated`` anew."""
Verdict = Literal["pending", "done", "again", "failed", "manual", "absent"]


@dataclass(frozen=True)
class Step:
    """Where a job stands now. ``again``: its customers need a new one. ``absent``: no such feature or job."""

    job: Job
    verdict: Verdict
    code: str | None = None


class Redaction:
    """The jobs of one account; ``version`` is the preview that has them."""

    def __init__(self, calls: Calls, version: str) -> None:
        self._calls, self._version = calls, version

    def available(self) -> bool:
        """Whether the account has the feature: what it answers to others is not documented, only not 200."""
        try:
            self._calls.get(JOBS, version=self._version, limit=1)
        except CallRefusedError:
            return False
        except ProcessorRefusedError:
            # Does the key lack everything, or only this?
            self._calls.get("/v1/customers", limit=1)
            return False
        return True

    def create(self, person: Person, customers: Sequence[str], *, split: bool = False) -> list[Job]:
        """Jobs for one person's customers; called again within a day, the same ones."""
        size = 1 if split else PER_JOB
        return [
            {"id": self._create(person, part), "customers": part, "validated": 0}
            for part in (list(customers[n : n + size]) for n in range(0, len(customers), size))
        ]

    def _create(self, person: Person, customers: list[str]) -> str:
        created = self._calls.post(
            JOBS,
            person,
            "redact",
            version=self._version,
            objects={"customers": customers},
            validation_behavior="error",
        )
        return str(created["id"])

    def advance(
        self,
        person: Person,
        job: Job,
        *,
        allowed: Callable[[Iterable[str]], bool],
        repair: Callable[[Iterable[str]], None],
    ) -> Step:
        """One step further. ``allowed`` is asked before what cannot be undone; ``repair`` winds down anew."""
        path = f"{JOBS}/{job['id']}"
        try:
            status = self._calls.get(path, version=self._version)["status"]
        except CallRefusedError:
            return Step(job, "absent")
        if status == "succeeded":
            return Step(job, "done")
        if status == "canceled":
            return Step(job, "again", status)
        if status == "ready":
            if not allowed(job["customers"]):
                self.cancel(person, job)
                return Step(job, "again", "in_the_way")
            self._act(person, job, "run")
            return Step(job, "pending", "redacting")
        if status == "failed":
            return self._repair(person, job, repair)
        # Whatever else there may be in a preview: not done.
        return Step(job, "pending", status)

    def _repair(self, person: Person, job: Job, repair: Callable[[Iterable[str]], None]) -> Step:
        path = f"{JOBS}/{job['id']}"
        codes = {e["code"] for e in self._calls.pages(f"{path}/validation_errors", version=self._version)}
        if LOCKED in codes:
            self._give_up_others(person, job)
            return self._validate(person, job, LOCKED)
        if TOO_MANY in codes:
            self.cancel(person, job)
            return Step(job, "again" if len(job["customers"]) > 1 else "manual", TOO_MANY)
        code = min(codes, default="validation_failed")
        if job["validated"] == 0:
            repair(job["customers"])
            self._calls.post(path, person, "fix", version=self._version, validation_behavior="fix")
            return self._validate(person, job, code)
        self.cancel(person, job)
        return Step(job, "failed", code)

    def _validate(self, person: Person, job: Job, code: str) -> Step:
        self._act(person, job, "validate", f"validate-{job['validated']}")
        return Step({**job, "validated": job["validated"] + 1}, "pending", code)

    def cancel(self, person: Person, job: Job) -> None:
        """Give a job up that does not run; its objects are free for another."""
        self._act(person, job, "cancel")

    def _act(self, person: Person, job: Job, action: str, step: str | None = None) -> None:
        try:
            self._calls.post(f"{JOBS}/{job['id']}/{action}", person, step or action, version=self._version)
        except CallRefusedError as error:
            # Not in the right state any more: another copy of this task was faster. The next look tells.
            if error.status not in (400, 404, 409):
                raise

    def _give_up_others(self, person: Person, job: Job) -> None:
        """Cancel the jobs of tries that crashed before their ids were on record: for the same customers.

        One that runs already, or is somebody else's, is waited for.
        """
        wanted = set(job["customers"])
        for other in self._calls.pages(JOBS, version=self._version):
            theirs = set((other.get("objects") or {}).get("customers") or ())
            if other["id"] != job["id"] and theirs == wanted and other["status"] in ("ready", "failed"):
                self.cancel(person, other)

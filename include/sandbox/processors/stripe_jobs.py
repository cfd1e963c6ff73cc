"""Redaction jobs of the stand-in: states that take time, errors of validation, locks (Stripe's preview)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from include.sandbox.processors import stripe_objects as objects
from include.sandbox.processors.stripe_forms import BadRequestError
from include.sandbox.processors.stripe_store import Store, end_subscription

Json = dict[str, Any]
PER_JOB = 10
_OVER = ("succeeded", "canceled")


class Jobs:
    """``seconds``: how long validation and redaction each take. ``inject``: customer → codes that
    validation finds besides those of its own. ``odd``: statuses shown once each, before the true one.
    """

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store, self._now = store, now
        self.seconds = 0
        self.inject: dict[str, list[str]] = {}
        self.odd: list[str] = []
        self._since: dict[str, int] = {}
        self._errors: dict[str, list[Json]] = {}

    def create(self, form: Json) -> Json:
        """``POST /v1/privacy/redaction_jobs``."""
        wanted = form.get("objects")
        if not isinstance(wanted, dict) or set(wanted) - {"customers"} or not wanted.get("customers"):
            raise BadRequestError("Invalid objects", param="objects")
        if len(wanted["customers"]) > PER_JOB:
            raise BadRequestError("Too many objects", code="too_many_objects", param="objects")
        for customer in wanted["customers"]:
            self._store.get("customers", customer)
        job = objects.redaction_job(
            f"prj_{len(self._store.of['redaction_jobs']) + 1}", self._now(), list(wanted["customers"]),
            _behaviour(form),
        )  # fmt: skip
        self._since[job["id"]] = self._now()
        return self._store.add("redaction_jobs", job)

    def look(self, job: Json) -> Json:
        """The job as it is now; the status may be one that nobody has heard of."""
        self._move(job)
        return {**job, "status": self.odd.pop(0)} if self.odd else dict(job)

    def move_all(self) -> None:
        """Let time pass for all of them."""
        for job in list(self._store.of["redaction_jobs"].values()):
            self._move(job)

    def errors(self, job: Json) -> list[Json]:
        """``GET …/validation_errors``."""
        self._move(job)
        return self._errors.get(job["id"], [])

    def act(self, job: Json, action: str, form: Json) -> Json:
        """``run``, ``cancel``, ``validate``, or an update of the behaviour."""
        self._move(job)
        allowed = {"run": ("ready",), "cancel": ("ready", "failed"), "validate": ("failed",)}
        if action in allowed and job["status"] not in allowed[action]:
            raise BadRequestError(f"The job cannot {action} while {job['status']}", code="invalid_state")
        if action == "run":
            self._fix(job)
            job["status"] = "redacting"
        elif action == "cancel":
            job["status"] = "canceled"
        elif action == "validate":
            job["status"] = "validating"
        else:
            job["validation_behavior"] = _behaviour(form)
        self._since[job["id"]] = self._now()
        return dict(job)

    def _move(self, job: Json) -> None:
        if self._now() < self._since[job["id"]] + self.seconds:
            return
        if job["status"] == "redacting":
            for customer in job["objects"]["customers"]:
                self._store.redact(customer)
            job["status"] = "succeeded"
        elif job["status"] in ("created", "validating"):
            errors = list(self._validate(job))
            self._errors[job["id"]] = errors
            job["status"] = "failed" if errors else "ready"

    def _validate(self, job: Json) -> Iterator[Json]:
        locked = {
            customer
            for other in self._store.of["redaction_jobs"].values()
            if other["id"] != job["id"] and other["status"] not in _OVER
            for customer in other["objects"]["customers"]
        }
        for customer in job["objects"]["customers"]:
            found = self._store.get("customers", customer)
            if customer in locked:
                yield _error("locked_by_other_job", found)
            yield from (_error(code, found) for code in self.inject.get(customer, ()))
            for code, thing in self._store.unfit(customer, self._now()):
                # A charge is not repaired by anybody: it is too young, or disputed.
                if job["validation_behavior"] == "error" or thing["object"] == "charge":
                    yield _error(code, thing)

    def _fix(self, job: Json) -> None:
        if job["validation_behavior"] != "fix":
            return
        for customer in job["objects"]["customers"]:
            for subscription in self._store.owned("subscriptions", customer):
                end_subscription(subscription, self._now())
            for method in self._store.owned("payment_methods", customer):
                self._store.formerly[method["id"]] = customer
                method["customer"] = None


def _behaviour(form: Json) -> str:
    behaviour = form.get("validation_behavior", "error")
    if behaviour not in ("error", "fix"):
        raise BadRequestError("Invalid validation_behavior", param="validation_behavior")
    return str(behaviour)


def _error(code: str, thing: Json) -> Json:
    return {
        "id": f"prjve_{thing['id']}", "object": "privacy.redaction_job_validation_error", "code": code,
        "erroring_object": {"id": thing["id"], "object_type": thing["object"]}, "message": code,
    }  # fmt: skip

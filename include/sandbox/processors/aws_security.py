"""A stand-in for what watches an AWS account: IAM's credential report, GuardDuty and CloudTrail.

The three protocols of AWS: XML answers to forms, REST with JSON, and JSON by target. A report takes one more
call before it is complete. It checks no signature. Settings, all replaced by what is given: ``users`` (by
name: ``{password, mfa}``), ``root_mfa``, ``detectors`` (id → status), ``trails`` (by name: ``{logging,
every_region, delivered, error}``; ``delivered`` in seconds since 1970), ``denied`` (names of calls).
"""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from include.sandbox.processors.exchange import Request, Response

ACCOUNT, REGION = "000000000000", "eu-central-1"
IAM = "https://iam.amazonaws.com/doc/2010-05-08/"
TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
_HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active"
)
_SETTINGS = frozenset({"users", "root_mfa", "detectors", "trails", "denied"})


class AwsSecurity:
    """One account and region."""

    def __init__(self, folder: Path, key: str) -> None:
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {
            "users": {
                "deployer": {"password": False, "mfa": False},
                "officer": {"password": True, "mfa": True},
            },
            "root_mfa": True,
            "detectors": {"12abc34d567e8fa901bc2d34e56789f0": "ENABLED"},
            "trails": {"everything": {"logging": True, "every_region": True, "delivered": None, "error": ""}},
            "denied": [],
        }
        self._asked = False

    def configure(self, settings: dict[str, Any]) -> None:
        """See the module's text."""
        if unknown := settings.keys() - _SETTINGS:
            raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
        with self._lock:
            self._state |= settings

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Customers have no users here."""

    def describe(self) -> dict[str, Any]:
        """The state as it is set."""
        with self._lock:
            return dict(self._state)

    def refusal(self, status: int) -> Response:
        """An error of that status."""
        return _xml_error(status, "AccessDenied" if status == 403 else "ServiceUnavailable")

    def answer(self, request: Request) -> Response:
        """One call of any of the three."""
        with self._lock:
            if request.path.startswith("/detector"):
                return self._guardduty(request.path.removeprefix("/detector").strip("/"))
            target = request.headers.get("x-amz-target", "")
            if target.startswith(TARGET):
                return self._cloudtrail(target.removeprefix(TARGET), request.json())
            form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
            return self._iam(form.get("Action", ""))

    def _guardduty(self, detector: str) -> Response:
        if ("GetDetector" if detector else "ListDetectors") in self._state["denied"]:
            return _json_error("AccessDeniedException", 403)
        found = self._state["detectors"]
        if not detector:
            return Response.of_json({"detectorIds": list(found)})
        if detector not in found:
            return _json_error("BadRequestException", 400)
        return Response.of_json({"status": found[detector], "serviceRole": "r", "createdAt": "2026-01-01"})

    def _cloudtrail(self, call: str, body: dict[str, Any]) -> Response:
        if call in self._state["denied"]:
            return _json_error("AccessDeniedException", 400)
        arns = {
            f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{n}": t for n, t in self._state["trails"].items()
        }
        if call == "DescribeTrails":
            listed = [
                {"Name": arn.rpartition("/")[2], "TrailARN": arn, "IsMultiRegionTrail": trail["every_region"]}
                for arn, trail in arns.items()
            ]
            return Response.of_json({"trailList": listed})
        if call != "GetTrailStatus" or body.get("Name") not in arns:
            return _json_error("TrailNotFoundException", 400)
        trail = arns[body["Name"]]
        delivered = time.time() if trail["delivered"] is None else trail["delivered"]
        status = {"IsLogging": trail["logging"], "LatestDeliveryTime": delivered}
        return Response.of_json(status | ({"LatestDeliveryError": trail["error"]} if trail["error"] else {}))

    def _iam(self, call: str) -> Response:
        if call in self._state["denied"]:
            return _xml_error(403, "AccessDenied")
        if call == "GenerateCredentialReport":
            state, self._asked = ("COMPLETE" if self._asked else "STARTED"), True
            return _xml(call, f"<State>{state}</State>")
        if call != "GetCredentialReport":
            return _xml_error(400, "InvalidAction")
        if not self._asked:
            return _xml_error(410, "ReportNotPresent")
        content = base64.b64encode(self._report().encode()).decode()
        return _xml(call, f"<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>")

    def _report(self) -> str:
        rows = [("<root_account>", "not_supported", self._state["root_mfa"])]
        rows += [(n, _yes(u["password"]), u["mfa"]) for n, u in self._state["users"].items()]
        lines = [
            f"{name},arn:aws:iam::{ACCOUNT}:user/{name},2026-01-01T00:00:00+00:00,{password},"
            f"no_information,N/A,N/A,{_yes(mfa)}"
            for name, password, mfa in rows
        ]
        return "\n".join([_HEADER, *lines])


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _xml(call: str, inner: str) -> Response:
    text = f'<{call}Response xmlns="{IAM}"><{call}Result>{inner}</{call}Result></{call}Response>'
    return Response(200, text.encode(), {"Content-Type": "text/xml"})


def _xml_error(status: int, code: str) -> Response:
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    text = f'<ErrorResponse xmlns="{IAM}">{error}</ErrorResponse>'
    return Response(status, text.encode(), {"Content-Type": "text/xml"})


def _json_error(code: str, status: int) -> Response:
    answer = Response.of_json({"__type": code, "message": "no"}, status)
    answer.headers["x-amzn-ErrorType"] = code
    return answer

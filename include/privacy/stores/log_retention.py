"""How long CloudWatch and Cloud Logging keep log lines, and where they copy them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from include.privacy.stores.aws import told
from include.privacy.stores.google_api import GoogleApi

LOGGING_HOST = "logging.googleapis.com"
GOOGLE_DEFAULT_DAYS = 30
# CloudWatch takes no other numbers of days.
CLOUDWATCH_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


@dataclass(frozen=True)
class LogStore:
    """A log group or log bucket. ``days``: how long it keeps lines; ``None`` for ever.

    ``locked``: nobody can change that any more. ``name`` is how the cloud's console shows it.
    """

    name: str
    days: int | None
    locked: bool = False


class LogService(Protocol):
    """What a cloud's logs offer. All raise ``CloudError``."""

    def log_stores(self, prefix: str) -> Iterator[LogStore]:
        """Those whose names begin with the prefix."""
        ...

    def shorten(self, log_store: LogStore, days: int) -> int:
        """Keep lines no longer than ``days``; returns the number that the cloud takes. Harmless to repeat."""
        ...

    def destinations(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Where lines are copied as they come: what copies them, and where to."""
        ...


class CloudWatchLogs:
    """The log groups of one account and region. ``client``: boto3's for CloudWatch Logs."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def log_stores(self, prefix: str) -> Iterator[LogStore]:
        """Groups; one without ``retentionInDays`` keeps its lines for ever."""
        options = {"logGroupNamePrefix": prefix} if prefix else {}
        with told("CloudWatch Logs", "listing log groups", "logs:DescribeLogGroups"):
            for page in self._client.get_paginator("describe_log_groups").paginate(**options):
                for group in page["logGroups"]:
                    yield LogStore(str(group["logGroupName"]), group.get("retentionInDays"))

    def shorten(self, log_store: LogStore, days: int) -> int:
        """Set the longest period that CloudWatch offers and that is no longer than ``days``."""
        offered = max(d for d in CLOUDWATCH_DAYS if d <= days)
        with told("CloudWatch Logs", "setting a group's retention", "logs:PutRetentionPolicy"):
            self._client.put_retention_policy(logGroupName=log_store.name, retentionInDays=offered)
        return offered

    def destinations(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Subscription filters of every group."""
        for group in self.log_stores(prefix):
            with told("CloudWatch Logs", "listing subscriptions", "logs:DescribeSubscriptionFilters"):
                pages = self._client.get_paginator("describe_subscription_filters")
                for page in pages.paginate(logGroupName=group.name):
                    for each in page["subscriptionFilters"]:
                        yield f"subscription of {group.name}", str(each["destinationArn"])


class CloudLogging:
    """The log buckets of one project, in every location."""

    def __init__(self, api: GoogleApi, project: str) -> None:
        self._api, self._parent = api, f"projects/{quote(project, safe='')}"

    def log_stores(self, prefix: str) -> Iterator[LogStore]:
        """Buckets; those that are being deleted take no lines and are left out."""
        for raw in self._buckets():
            location, _, name = str(raw["name"]).partition("/locations/")[2].partition("/buckets/")
            shown = name if location == "global" else f"{location}/{name}"
            if shown.startswith(prefix):
                days = int(raw.get("retentionDays") or GOOGLE_DEFAULT_DAYS)
                yield LogStore(shown, days, bool(raw.get("locked")))

    def shorten(self, log_store: LogStore, days: int) -> int:
        """Set the period; Google takes every whole number."""
        location, _, name = log_store.name.rpartition("/")
        path = f"/v2/{self._parent}/locations/{location or 'global'}/buckets/{quote(name, safe='')}"
        self._api.call(
            "PATCH",
            LOGGING_HOST,
            path,
            permission="logging.buckets.update",
            query={"updateMask": "retentionDays"},
            body={"retentionDays": days},
        )
        return days

    def destinations(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Log sinks of the project; those into its own log buckets are no copies."""
        own = f"logging.googleapis.com/{self._parent}/"
        path = f"/v2/{self._parent}/sinks"
        permission, size = "logging.sinks.list", ("pageSize", 200)
        for sink in self._api.pages(LOGGING_HOST, path, "sinks", permission=permission, size=size):
            if not sink.get("disabled") and not str(sink["destination"]).startswith(own):
                yield f"sink {sink['name']}", str(sink["destination"])

    def _buckets(self) -> Iterator[dict[str, Any]]:
        path = f"/v2/{self._parent}/locations/-/buckets"
        permission, size = "logging.buckets.list", ("pageSize", 200)
        for raw in self._api.pages(LOGGING_HOST, path, "buckets", permission=permission, size=size):
            if raw.get("lifecycleState") != "DELETE_REQUESTED":
                yield raw

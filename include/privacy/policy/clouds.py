"""Models of ``config/clouds.yaml``: what a cloud keeps beside our stores: snapshots of databases, and logs.

They are no stores of the data map: nobody is found, exported or erased in them one by one. They expire.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import Field

from include.privacy.policy.documents import Document
from include.privacy.policy.map_model import MapModel
from include.privacy.policy.problems import Problem, suggestion

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Source = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:.-]*$", max_length=98)]


class Snapshots(MapModel):
    """The snapshots that one account keeps, in one region, of whole databases (P4.3).

    ``sources``: the database instances and clusters whose snapshots are ours to delete, each with the store
    of the data map that it holds. Snapshots of any other source are left alone and reported.
    """

    store: Id
    kind: Literal["rds", "cloud_sql"]
    description: str = ""
    connection: str
    sources: Annotated[dict[Source, str], Field(min_length=1)]


class Logs(MapModel):
    """The log groups (CloudWatch) or log buckets (Cloud Logging) of one account.

    ``max_days``: how long log lines may be kept. ``prefix``: only groups of that name. ``exempt``: name →
    why it may keep them longer. ``mode``: ``manage`` sets what is wrong right, ``audit`` reports it.
    """

    name: Id
    kind: Literal["cloudwatch", "cloud_logging"]
    description: str = ""
    connection: str
    max_days: Annotated[int, Field(gt=0, le=3653)]
    mode: Literal["manage", "audit"] = "audit"
    prefix: str = ""
    exempt: dict[str, Annotated[str, Field(min_length=8)]] = Field(default_factory=dict)


class Clouds(MapModel):
    """Everything of ``config/clouds.yaml``; both lists may be empty."""

    snapshots: tuple[Snapshots, ...] = ()
    logs: tuple[Logs, ...] = ()

    def __getitem__(self, name: str) -> Snapshots:
        for each in self.snapshots:
            if each.store == name:
                return each
        raise KeyError(
            f"{name!r} is not in config/clouds.yaml; it knows snapshots {[s.store for s in self.snapshots]}"
        )

    def names(self) -> tuple[str, ...]:
        """The names of the sets of snapshots: what rules and legal holds call their store."""
        return tuple(each.store for each in self.snapshots)


def cloud_problems(
    clouds: Clouds, document: Document, stores: Collection[str], databases: Collection[str]
) -> Iterator[Problem]:
    """Names given twice, and sources that hold no database of the data map."""
    seen = set(stores)
    for index, snapshots in enumerate(clouds.snapshots):
        if snapshots.store in seen:
            yield document.problem(
                ("snapshots", index, "store"), "is the name of another store", "rename one of them"
            )
        seen.add(snapshots.store)
        for source, store in snapshots.sources.items():
            if store not in databases:
                yield document.problem(
                    ("snapshots", index, "sources", source),
                    f"{store!r} is no database of the data map",
                    suggestion(store, databases),
                )
    for index, logs in enumerate(clouds.logs):
        if [each.name for each in clouds.logs[:index]].count(logs.name):
            yield document.problem(("logs", index, "name"), "is written twice", "rename one of them")

"""What every part of the ledger's front shares: connection, seal, and methods made of functions.

Each method opens one transaction and calls the function of the same name; what it means and what it raises
is written there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger import requests as _requests
from include.privacy.ledger.engine import ledger_engine
from include.privacy.ledger.sealing import Sealer

P = ParamSpec("P")
R = TypeVar("R")


class Front:
    """A connection to the ledger, made at first use.

    ``url`` is the DAG role's connection, ``master_key`` 32 bytes that live outside the database,
    ``policy_version`` what the evidence of a request's steps names as the policy in force.
    """

    def __init__(self, url: str, master_key: bytes, policy_version: str | None = None) -> None:
        self.engine = ledger_engine(url)
        self.sealer = Sealer(master_key)
        self.sessions = sessionmaker(
            self.engine, expire_on_commit=False, info={_requests.POLICY: policy_version}
        )

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def plain(function: Callable[Concatenate[Session, P], R]) -> Callable[Concatenate[Front, P], R]:
    """A method that runs ``function`` in a transaction of its own."""

    def method(self: Front, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.sessions.begin() as session:
            return function(session, *args, **kwargs)

    update_wrapper(method, function)
    return method


def sealed(function: Callable[Concatenate[Session, Sealer, P], R]) -> Callable[Concatenate[Front, P], R]:
    """The same for a function that seals or unseals."""

    def method(self: Front, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.sessions.begin() as session:
            return function(session, self.sealer, *args, **kwargs)

    update_wrapper(method, function)
    return method

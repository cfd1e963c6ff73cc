"""What goes over the wire of our own API: closed messages with the words of docs/INTEGRATION.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

AccountId = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]
Email = Annotated[str, Field(pattern=r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+$", max_length=320)]
Right = Literal["access", "portability", "rectification", "erasure", "objection"]
Channel = Literal["app", "email", "support", "phone", "letter", "api"]
Method = Literal["session", "one_time_token", "in_person", "phone_callback", "letter", "mandate"]


class Message(BaseModel):
    """Closed: what is not described here is refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Statement(Message):
    """How the platform established who asks; `authenticated_at` and `strength` belong to a session.

    `pending: platform` says that the platform sends a link of its own.
    """

    method: Method | None = None
    strength: Annotated[str, Field(max_length=64)] | None = None
    authenticated_at: AwareDatetime | None = None
    pending: Literal["platform"] | None = None

    def as_codes(self) -> dict[str, str]:
        """As the inbox has it."""
        return {k: str(v) for k, v in self.model_dump(mode="json", exclude_none=True).items()}


class Agent(Message):
    """Who asks for the person, what allows them to, and where the document is on file."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    mandate: Literal["signed_permission", "power_of_attorney"]
    evidence: Annotated[str, Field(min_length=1, max_length=500)]


class OpenRequest(Message):
    """A request as the platform sends it. Exactly one of `account_id` and `email` says whom it is about."""

    request_id: Annotated[UUID, Field(description="Chosen by the platform; sent again, nothing new opens.")]
    right: Right
    channel: Channel = "api"
    received_at: Annotated[
        AwareDatetime | None,
        Field(description="When the person asked; the clocks run from there."),
    ] = None
    account_id: AccountId | None = None
    email: Email | None = None
    verification: Statement = Statement()
    details: Annotated[
        dict[str, Any], Field(description="What the right needs: `corrections`, `purposes`, `transmit_to`.")
    ] = {}
    agent: Agent | None = None

    @model_validator(mode="after")
    def _whom(self) -> Self:
        if (self.account_id is None) == (self.email is None):
            raise ValueError("needs account_id or email, one of the two")
        if self.email is not None and self.verification.method == "session":
            raise ValueError("has a session, which belongs to an account: give account_id instead of email")
        if not storable(self.details):
            raise ValueError("has details with a character that no database stores (U+0000 or half a pair)")
        return self


class VerifyRequest(Message):
    """The one-time token that came with our link, or what the platform itself established."""

    token: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    account_id: AccountId | None = None
    verification: Statement | None = None

    @model_validator(mode="after")
    def _how(self) -> Self:
        stated = self.verification is not None and self.account_id is not None
        if (self.token is None) != stated or (self.token and (self.verification or self.account_id)):
            raise ValueError("needs token, or account_id and verification")
        return self


class Accepted(BaseModel):
    """The request is in the ledger, whether or not anybody is known by that identity."""

    request_id: UUID
    due_at: datetime
    status_url: str


class Verified(BaseModel):
    """Whether the identity is established now; false tells nothing more."""

    verified: bool


class RequestStatus(BaseModel):
    """Where a request stands. `further`: requests of further accounts, named once this one is verified."""

    request_id: UUID
    right: str
    state: str
    reason: str | None
    verified: bool
    received_at: datetime
    due_at: datetime
    promise_at: datetime | None
    law_at: datetime | None
    extended: bool
    closed_at: datetime | None
    residual_until: datetime | None
    further: list[UUID] = []


def storable(value: Any) -> bool:
    """Whether databases take every text in it: no U+0000, no half of a surrogate pair."""
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(storable(part) for pair in value.items() for part in pair)
    return all(map(storable, value)) if isinstance(value, list) else True

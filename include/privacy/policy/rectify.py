"""What the data map says about corrections: columns that hold a fact, and columns that record what it was."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Format = Literal["text", "name", "email", "locale", "time_zone", "country", "date"]

#: The longest value of each format, in characters, where the map says nothing else.
LONGEST: dict[str, int] = {
    "text": 2000,
    "name": 200,
    "email": 254,
    "locale": 35,
    "time_zone": 64,
    "country": 2,
    "date": 10,
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rectify(_Model):
    """A column that holds a fact a person may have corrected (Art. 16 GDPR).

    ``field`` names the fact; columns of one field, in whatever table or store, are corrected together and
    have the same validation. ``role`` is whose fact it is (default: the table's first role). ``key``: the
    fact is under this top-level key of a jsonb document. ``copy``: a copy that may differ on purpose, so
    only where it holds the replaced value is it corrected. ``doubled``: a copy whose corrected row would
    double another one is refused, or deleted.
    """

    field: FieldName
    format: Format = "text"
    max_length: Annotated[int, Field(gt=0, le=10_000)] | None = None
    pattern: str | None = None
    case: Literal["lower"] | None = None
    role: str | None = None
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")] | None = None
    copy_: Annotated[bool, Field(alias="copy")] = False
    doubled: Literal["refuse", "delete"] = "refuse"

    @property
    def validation(self) -> tuple[object, ...]:
        """What all columns of one field must agree on."""
        return self.format, self.longest, self.pattern, self.case

    @property
    def longest(self) -> int:
        """The longest value that is accepted, in characters."""
        return self.max_length or LONGEST[self.format]


class History(_Model):
    """A column that records what a field was, on purpose or by a trigger.

    ``rectified: keep`` leaves it alone, with a ``reason`` that the person is told (an issued invoice, former
    addresses kept for security). ``rectified: delete`` removes the person's rows that hold the replaced
    value: what a trigger wrote when it was corrected, a token sent to the wrong address.
    """

    field: FieldName
    rectified: Literal["keep", "delete"]
    reason: Annotated[str, Field(min_length=8)] | None = None
    role: str | None = None

    @model_validator(mode="after")
    def _says_why(self) -> History:
        if self.rectified == "keep" and self.reason is None:
            raise ValueError("give the `reason:` why what the field was is kept after a correction")
        return self

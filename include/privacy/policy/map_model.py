"""What the models of the data map have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=63)]
Origin = Literal["provided", "observed", "inferred"]


class MapModel(BaseModel):
    """Frozen, and closed: a misspelt field is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

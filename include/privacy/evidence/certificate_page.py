"""The page of a certificate: the same statement for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.privacy.evidence.certificates import statement_in
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def page_of(document: Mapping[str, Any]) -> str:
    """One self-contained HTML page; instants in the company's zone."""
    template = environment().get_template("certificate.html")
    return template.render(p=statement_in(document)["predicate"], document=document)


def environment() -> Environment:
    """Jinja2 with HTML escaped and undefined names refused."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    zone = ZoneInfo(runtime().config().policy.timezone)
    made.filters["when"] = lambda text: _when(text, zone)
    made.filters["words"] = lambda text: str(text).replace("_", " ")
    return made


def _when(value: str | datetime, zone: ZoneInfo) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"

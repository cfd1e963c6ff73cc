"""How people sign in to Airflow, as far as its settings tell it (P7.3)."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from include.privacy.wire import is_loopback

Kind = Literal["passwords", "nobody", "provider"]

_SIMPLE = "SimpleAuthManager"
_FAB = "FabAuthManager"
_FAB_TYPES: Mapping[str, Kind] = {
    "AUTH_DB": "passwords",
    "AUTH_LDAP": "passwords",
    "AUTH_OID": "provider",
    "AUTH_OAUTH": "provider",
    "AUTH_SAML": "provider",
    "AUTH_REMOTE_USER": "provider",
}


@dataclass(frozen=True)
class Login:
    """``kind``: passwords of Airflow's own, nobody is asked, or an identity provider."""

    manager: str
    kind: Kind
    loopback_only: bool


def read_login() -> Login:
    """From Airflow's configuration, read when it is asked for."""
    from airflow.configuration import conf

    manager = str(conf.get("core", "auth_manager", fallback=_SIMPLE)).rpartition(".")[2]
    host = str(conf.get("api", "host", fallback="0.0.0.0"))  # noqa: S104 - Airflow's default, which is what is asked
    base = urlsplit(str(conf.get("api", "base_url", fallback="") or "")).hostname or ""
    loopback = is_loopback(host) and (not base or is_loopback(base))
    if manager == _SIMPLE:
        everybody = conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False)
        return Login(manager, "nobody" if everybody else "passwords", loopback)
    if manager == _FAB:
        file = Path(str(conf.get("fab", "config_file", fallback="")) or "webserver_config.py")
        return Login(manager, kind_of_fab(file.read_text() if file.is_file() else ""), loopback)
    # Keycloak, AWS IAM Identity Center and whatever else hands the login to somebody else.
    return Login(manager, "provider", loopback)


def kind_of_fab(text: str) -> Kind:
    """What FAB's ``webserver_config.py`` says of AUTH_TYPE, read and not run; passwords if it says nothing.

    Raises ``LookupError`` for what is computed, or no type of FAB's.
    """
    found: ast.expr | None = None
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and _names_auth_type(statement.targets):
            found = statement.value
    if found is None:
        return "passwords"
    name = found.id if isinstance(found, ast.Name) else found.attr if isinstance(found, ast.Attribute) else ""
    if name not in _FAB_TYPES:
        raise LookupError("webserver_config.py does not name AUTH_TYPE in one word")
    return _FAB_TYPES[name]


def _names_auth_type(targets: Sequence[ast.expr]) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "AUTH_TYPE" for target in targets)

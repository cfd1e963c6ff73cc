"""What every adapter is made of: connections, configuration, keys; each made once for the process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from include.privacy.connections import ConnectionInfo, connection, key_bytes, postgres_url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from include.privacy.policy.loading import Config

MASTER_KEY = "privacy_master_key"
SUPPRESSION_KEY = "privacy_suppression_key"
TRANSMISSION_KEY = "privacy_transmission_key"


class Base:
    """Connections by id and what is read from them."""

    def __init__(
        self,
        connect: Callable[[str], ConnectionInfo] = connection,
        load: Callable[[], Config] | None = None,
    ) -> None:
        self._connect = connect
        self._load = load
        self._made: dict[object, Any] = {}
        self._lock = threading.RLock()

    def connection(self, conn_id: str) -> ConnectionInfo:
        """The connection of that id."""
        return cast(ConnectionInfo, self._once(("connection", conn_id), lambda: self._connect(conn_id)))

    def config(self) -> Config:
        """Policy and data map, validated."""
        from include.privacy.policy.loading import load_config

        return cast("Config", self._once("config", self._load or load_config))

    def dsn(self, conn_id: str) -> str:
        """PostgreSQL URL of a connection. TLS with a verified certificate unless on this machine."""
        return postgres_url(self.connection(conn_id))

    def master_key(self) -> bytes:
        """The 32 bytes that wrap the ledger's keys: PRIVACY_MASTER_KEY, or the connection's password."""
        text = os.environ.get("PRIVACY_MASTER_KEY") or self.connection(MASTER_KEY).password or ""
        where = f"in PRIVACY_MASTER_KEY or as password of connection {MASTER_KEY!r}"
        return key_bytes(text, "the master key", where)

    def suppression_key(self) -> bytes:
        """The 32 bytes that mark contacts on the suppression list; the platform's jobs have the same."""
        text = self.connection(SUPPRESSION_KEY).password or ""
        return key_bytes(text, "the suppression key", f"as password of connection {SUPPRESSION_KEY!r}")

    def transmission_key(self) -> tuple[Ed25519PrivateKey, str]:
        """The key that signs archives sent to another service, and its id (Art. 20(2) GDPR)."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        info = self.connection(TRANSMISSION_KEY)
        where = f"as password of connection {info.conn_id!r}"
        raw = key_bytes(info.password or "", "the transmission key", where)
        return Ed25519PrivateKey.from_private_bytes(raw), info.login or "1"

    def close(self) -> None:
        """Close what holds connections; what is asked for afterwards is made anew."""
        with self._lock:
            made, self._made = list(self._made.values()), {}
        for each in made:
            if callable(close := getattr(each, "close", None)):
                close()

    def _once(self, key: object, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

"""Whether our PayPal app can do what requests need."""

from __future__ import annotations

from datetime import datetime, timedelta

from include.privacy.processors.http import Api
from include.privacy.processors.paypal.client import SEARCH
from include.privacy.processors.paypal.sweep import TRANSACTIONS, written
from include.privacy.processors.paypal.token import Token
from include.privacy.processors.protocol import Preflight, ProcessorRefusedError

_SCOPES = {
    "vault": "https://uri.paypal.com/services/vault/payment-tokens/readwrite",
    "subscriptions": "https://uri.paypal.com/services/subscriptions",
    "invoicing": "https://uri.paypal.com/services/invoicing",
    "transaction_search": "https://uri.paypal.com/services/reporting/search/read",
}
_NAMES = {
    "vault": "Vault",
    "subscriptions": "Subscriptions",
    "invoicing": "Invoicing",
    "transaction_search": "Transaction Search",
}


def preflight(api: Api, token: Token, as_of: datetime) -> Preflight:
    """What the token's scopes allow, and whether the two searches answer. Changes nothing.

    Raises :class:`ProcessorRefusedError` for a client id or secret that is wrong, and
    :class:`ProcessorUnavailableError` when PayPal does not answer.
    """
    scopes = token.scopes()
    features = {name: any(s.startswith(scope) for s in scopes) for name, scope in _SCOPES.items()}
    span = {"start_date": written(as_of - timedelta(days=2)), "end_date": written(as_of - timedelta(days=1))}
    if features["transaction_search"]:
        features["transaction_search"] = _answers(
            api, "GET", TRANSACTIONS, {**span, "page_size": 1, "fields": "transaction_info"}
        )
    if features["invoicing"]:
        features["invoicing"] = _answers(api, "POST", SEARCH, {"page": 1, "page_size": 1})
    problems = tuple(
        f"PayPal's feature {_NAMES[name]} is not open to our app; switch it on under Apps & Credentials "
        "(a new feature may take nine hours), or give the app's own client id"
        for name, on in features.items()
        if not on
    )
    return Preflight(features, problems)


def _answers(api: Api, method: str, path: str, params: dict[str, object]) -> bool:
    body: dict[str, object] | None = {} if method == "POST" else None
    try:
        # Nothing to be seen yet is an answer as well (400).
        return api.call(method, path, params=params, json=body, repeatable=True).status in (200, 400)
    except ProcessorRefusedError:
        return False

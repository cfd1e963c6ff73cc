"""What a fideslang data category means, in words for the person whose data they are."""

from __future__ import annotations

_TEXTS = {
    "system": "A technical value that the record needs; it says nothing about you by itself.",
    "user": "Data about you.",
    "user.account": "The state of your account.",
    "user.account.username": "The name under which others see you.",
    "user.authorization": "How it was checked that you are you.",
    "user.authorization.credentials": "A secret that proves who you are.",
    "user.authorization.password": "Your password, stored as a hash that cannot be turned back.",
    "user.behavior": "What you did in the service, or when.",
    "user.behavior.browsing_history": "A page you opened, or when you opened it.",
    "user.behavior.purchase_history": "What you bought, or when.",
    "user.biometric": "A measurement of your body.",
    "user.contact": "A way to reach you.",
    "user.contact.address": "A postal address.",
    "user.contact.email": "An e-mail address.",
    "user.contact.phone_number": "A telephone number.",
    "user.content": "Something you wrote, recorded or uploaded, or that was written about you.",
    "user.content.private": "A text or file that is not public.",
    "user.content.public": "A text or file that others can see.",
    "user.content.self_image": "A picture or recording of you.",
    "user.criminal_history": "Records about offences.",
    "user.demographic": "A fact about you such as age or language.",
    "user.device": "The device or browser that you used.",
    "user.device.cookie_id": "An identifier in a cookie of your browser.",
    "user.device.device_id": "An identifier or fingerprint of your device.",
    "user.device.ip_address": "An internet address from which you reached the service.",
    "user.device.telemetry": "When a device of yours was seen.",
    "user.financial": "A fact about your money.",
    "user.health_and_medical": "A fact about your health.",
    "user.location": "Where you are, or were.",
    "user.name": "A name.",
    "user.name.first": "A first name.",
    "user.payment": "A payment, or how it was made.",
    "user.privacy_preferences": "What you decided or asked about your privacy, or when.",
    "user.settings": "How you have set the service up.",
    "user.social": "People you are connected with.",
    "user.unique_id": "A number or identifier that stands for a person.",
    "user.user_sensor": "What a sensor of your device measured.",
    "user.workplace": "Your work.",
}


def describe(category: str) -> str:
    """The text of the category, or of the nearest one above it that has a text."""
    while category not in _TEXTS:
        category = category.rpartition(".")[0] or "user"
    return _TEXTS[category]

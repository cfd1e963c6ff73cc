"""The only room that sends mail: one small port, and SendGrid behind it."""

from include.privacy.mail.port import (
    MailBusyError,
    MailError,
    MailNotSentError,
    MailPort,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
    Receipt,
    SendState,
)

__all__ = [
    "MailBusyError",
    "MailError",
    "MailNotSentError",
    "MailPort",
    "MailRejectedError",
    "MailUnavailableError",
    "MailUncertainError",
    "Receipt",
    "SendState",
]

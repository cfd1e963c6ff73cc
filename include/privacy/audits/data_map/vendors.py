"""Companies that commonly process data of people, by the names that columns and tables are given after them.

The list is ours and short on purpose: of words that mean nothing else. A name that is missing is no proof of
anything; one that is there is a question to whoever added the column.
"""

from __future__ import annotations

from collections.abc import Collection

from include.privacy.detection.patterns import label

VENDORS = frozenset(
    {
        "activecampaign", "adroll", "adyen", "amplitude", "anthropic", "appsflyer", "auth0", "braintree",
        "branchio", "brevo", "bugsnag", "calendly", "chargebee", "clerk", "cohere", "criteo", "customerio",
        "datadog", "docusign", "facebook", "freshdesk", "fullstory", "fusionauth", "gocardless", "gorgias",
        "helpscout", "hotjar", "hubspot", "intercom", "klarna", "klaviyo", "linkedin", "logrocket",
        "mailchimp", "mailgun", "mailjet", "matomo", "maxmind", "messagebird", "mixpanel", "mollie",
        "okta", "onesignal", "onfido", "openai", "paddle", "paypal", "pinecone", "pipedrive", "plausible",
        "posthog", "postmark", "pushwoosh", "razorpay", "recurly", "rollbar", "rudderstack", "salesforce",
        "sendgrid", "sendinblue", "sentry", "smartlook", "snapchat", "snowplow", "stripe", "stytch",
        "sumsub", "surveymonkey", "tiktok", "twilio", "typeform", "veriff", "vonage", "worldpay",
        "zendesk", "zoho",
    }
)  # fmt: skip


def vendor_in(name: str, known: Collection[str]) -> str | None:
    """The company after which a table or column is called, unless it is ``known``."""
    words = f"_{label(name)}_"
    return next((v for v in sorted(VENDORS - set(known)) if f"_{v}_" in words), None)

"""Errors to Sentry, where SENTRY_DSN names one: no personal data, no request bodies, no values of variables."""

from __future__ import annotations

from importlib import import_module

from connector.settings import Settings


def report_errors(settings: Settings) -> None:
    """Begins to report this process's errors; to be called after a fork. Without SENTRY_DSN nothing is imported."""
    if settings.sentry_dsn:
        import_module("sentry_sdk").init(
            dsn=settings.sentry_dsn,
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            before_send=_without_request_details,
        )


def _without_request_details(event: dict[str, object], _: object) -> dict[str, object]:
    """Addresses carry tokens (sign-in links, Bitrix24's AUTH_ID): only the endpoint's name is sent."""
    event.pop("request", None)
    return event

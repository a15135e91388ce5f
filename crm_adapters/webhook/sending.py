"""Signs and sends one event; forwards Evrotel's own requests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from standardwebhooks.webhooks import Webhook

from crm_adapters.addresses import address_parts
from crm_adapters.asking import ask, kept
from crm_adapters.contract import Account, Exchange
from crm_adapters.errors import AdapterError, Misconfigured, NotSent
from crm_adapters.http import DeadlinePassed, ForbiddenAddress, guarded_session
from crm_adapters.webhook.answers import error_of, no_answer
from crm_adapters.webhook.fields import secrets_of
from crm_adapters.webhook.mapping import Message

SECONDS = 12.0
"""The longest that a receiver may take for one event."""
LEAST_SECONDS = 0.2
MOST_ANSWER = 64 * 1024
USER_AGENT = "Evrotel-Connector/1.0"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request and what came of it. `body` is the answer's; `error` is None where the receiver has taken it."""

    exchange: Exchange | None
    body: bytes = b""
    error: AdapterError | None = None


def send(account: Account, message: Message, deadline: float) -> Sent:
    """Sends an event to `webhook_url`, signed with each secret, by `deadline` (monotonic seconds). Raises nothing."""
    body = message.body.encode()
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT} | signed(account, message)
    return post(account, account.settings.get("webhook_url", ""), body, headers, deadline)


def signed(account: Account, message: Message) -> dict[str, str]:
    """The headers of Standard Webhooks: one signature for each secret that is in use."""
    at = datetime.now(UTC)
    secrets = secrets_of(account.settings.get("webhook_secret", ""))
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message.id, at, message.body) for secret in secrets),
    }


def post(account: Account, url: str, body: bytes, headers: Mapping[str, str], deadline: float) -> Sent:
    """POSTs to an address of the settings. Redirects are not followed. Raises nothing."""
    host = address_parts(url).netloc
    seconds = min(SECONDS, deadline - time.monotonic())
    if seconds < LEAST_SECONDS:
        return Sent(exchange=None, error=NotSent("no time was left"))
    if not host:
        return Sent(exchange=None, error=Misconfigured("webhook_url is not set: set it, all events are kept"))
    began = time.monotonic()

    def sent(answer: str, error: AdapterError | None, answer_body: bytes = b"") -> Sent:
        secrets = [*secrets_of(account.settings.get("webhook_secret", "")), account.settings.get("evrotel_token", "")]
        exchange = kept(f"POST {host} {body.decode(errors='replace')}", answer, began, secrets)
        return Sent(exchange=exchange, body=answer_body, error=error)

    try:
        with guarded_session(account.allow_local) as session:
            deadline = began + seconds
            reply = ask(
                session, "POST", url, body=body, headers=headers, most=MOST_ANSWER, deadline=deadline, needs_body=False
            )
    except ForbiddenAddress as error:
        return sent(str(error), Misconfigured(str(error)))
    except (requests.RequestException, DeadlinePassed) as error:
        failure = no_answer(error, host)
        return sent(str(failure), failure)
    text = f"{reply.status} {reply.content[:1000].decode(errors='replace')}"
    return sent(text, error_of(reply.status, reply.retry_after, host), reply.content)

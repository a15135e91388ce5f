"""What a portal's answer means: Bitrix24's error codes as errors of `crm_adapters.errors`.

The code decides, without regard to case; the status only where there is no known code. Both an empty code and an error
with status 200 are real (bitrix-tools/b24-rest-docs#175; REST docs, "System errors").
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from crm_adapters.bitrix24 import REQUIRED_SCOPES
from crm_adapters.bitrix24.transport import Answer
from crm_adapters.errors import AdapterError, Held, Limited, Refused, SignInRefused, TryAgain, Unreachable

_REOPEN = "an administrator of the portal should open the application there once"
_REINSTALL = "the application is not installed in the portal: install it there again"

STALE = frozenset({"expired_token", "invalid_token", "no_auth_found"})
"""Codes for which a new access token may help."""
LIMITS = frozenset({"query_limit_exceeded", "overload_limit"})
TIME_SPENT = "operation_time_limit"
"""Said of one method, which has used up its 480 seconds of ten minutes; the others go on (REST docs, "Limits")."""
LONGEST_HOLD, USUAL_HOLD = 610.0, 15.0
OUTAGES = frozenset({"internal_server_error", "error_unexpected_answer"})
SIGN_IN: Mapping[str, str] = {
    "expired_token": f"the portal does not accept a fresh token: {_REOPEN}",
    "invalid_token": f"the portal does not know the application's token: {_REOPEN}",
    "no_auth_found": f"the portal does not know the application's token: {_REOPEN}",
    "invalid_credentials": f"the portal does not accept the application's sign-in: {_REOPEN}",
    "authorization_error": f"the employee who installed the application was dismissed: {_REOPEN}",
    "user_access_error": "the employee who installed the application may not use it now: give access in its settings",
    "insufficient_scope": (
        f"the application lacks permissions: tick {', '.join(REQUIRED_SCOPES)} in its settings, save, and open it "
        "in the portal once"
    ),
    "payment_required": "the portal's subscription has ended: renew it",
    "portal_deleted": "the portal was deleted or is closed",
    "error_oauth": _REINSTALL,
    "not_installed": _REINSTALL,
    "application_not_found": _REINSTALL,
    "wrong_auth_type": _REINSTALL,
    "invalid_grant": f"the sign-in has lapsed: {_REOPEN}",
    "invalid_client": "the OAuth server does not know the application: compare its ID and key with the connection's",
    "wrong_client": "the OAuth server does not know the application: compare its ID and key with the connection's",
    "method_confirm_waiting": "an administrator of the portal should confirm the application's requests there",
    "method_confirm_denied": "an administrator of the portal denied the application's requests: allow them there",
}
_COMMERCIAL = "the portal's plan has no REST API: it takes a commercial plan"


def error_of(answer: Answer) -> AdapterError | None:
    """What is wrong with an answer to a whole request, None where nothing is."""
    if answer.body is None:
        return _of_status(answer.status, "", f"an answer that is none of Bitrix24's (status {answer.status})")
    if "error" not in answer.body and answer.status < 400 and "result" in answer.body:
        return None
    return of_code(answer.body, answer.status)


def of_code(body: Mapping[str, Any], status: int = 400) -> AdapterError:
    """The error that `body` ("error", "error_description") tells of. For a command of a batch give no status."""
    code = str(body.get("error") or "")
    said = str(body.get("error_description") or "").strip()
    text = " ".join(part for part in (code, said) if part) or f"an answer without a result (status {status})"
    known = code.lower()
    if known in LIMITS:
        return Limited(text, code=code)
    if known == TIME_SPENT:
        return Held(text, code=code, retry_after=_until_reset(body))
    if known in SIGN_IN:
        return SignInRefused(f"{SIGN_IN[known]} ({text})", code=code)
    if known == "access_denied" and "commercial" in said.lower():
        return SignInRefused(f"{_COMMERCIAL} ({text})", code=code)
    if known in OUTAGES:
        return Unreachable(text, code=code, maybe_done=True)
    return (
        Refused(text, code=code)
        if "error" in body and status < 500 and status != 401
        else _of_status(status, code, text)
    )


def of_command(body: Mapping[str, Any]) -> AdapterError:
    """The error of one command of a batch: an outage is that command's alone, for the batch was answered."""
    error = of_code(body)
    return TryAgain(str(error), code=error.code, maybe_done=True) if isinstance(error, Unreachable) else error


def _of_status(status: int, code: str, text: str) -> AdapterError:
    if status in (401, 402):
        return SignInRefused(f"{_REOPEN} ({text})", code=code)
    if status == 429:
        return Limited(text, code=code)
    if 400 <= status < 500 and code:
        return Refused(text, code=code)
    return Unreachable(text, code=code, maybe_done=True)


def _until_reset(body: Mapping[str, Any]) -> float:
    """Seconds until a method's time budget is renewed; where the answer does not say when, until it is asked again."""
    spent = body.get("time")
    reset = spent.get("operating_reset_at") if isinstance(spent, Mapping) else None
    return min(max(1.0, float(reset) - time.time()), LONGEST_HOLD) if isinstance(reset, int | float) else USUAL_HOLD

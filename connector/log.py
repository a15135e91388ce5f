"""Logs as text or JSON: each line about a call carries its ID, phone numbers are masked, secrets never appear."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

# Seven digits or more, perhaps with a plus and marks between them; not part of a longer word such as a call's ID.
_NUMBER = re.compile(r"(?<![\w.-])\+?\d[\d ()-]{5,}\d(?![\w-])")
_SECRETS = (
    re.compile(r"(?i)(authorization[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)[^\s\"'&,}]+"),
    re.compile(
        r"(?i)((?:access_token|refresh_token|client_secret|application_token|auth|auth_id|refresh_id|token|secret|password|key)"
        r"\]?[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,}]+"
    ),
    re.compile(r"(://[^\s:/@]*:)[^\s/@]+(?=@)"),  # the password of an address
)
_SUSPICIOUS = re.compile(r"\d[\d ()-]{5}|[=:]")
"""What every number and every named secret contains."""
NOISY = ("alembic", "urllib3", "aiohttp", "asyncio", "fast_bitrix24", "apscheduler", "hypothesis")


def mask_number(number: str) -> str:
    """`+380987858227` to `…8227`: enough to recognise a call, not to dial it."""
    return f"…{number[-4:]}" if len(number) > 5 else number


def mask_text(text: str) -> str:
    """A text fit for logs: phone numbers to their last four digits, values that are named as secrets to stars."""
    if not _SUSPICIOUS.search(text):
        return text  # most lines: one look instead of four
    for secret in _SECRETS:
        text = secret.sub(r"\1***", text)
    return _NUMBER.sub(lambda found: mask_number(re.sub(r"\D", "", found.group())), text)


class _Masking(logging.Filter):
    """Masks the finished message, so that no argument escapes."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = mask_text(record.getMessage())
        record.args = None
        return True


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        call_id = getattr(record, "call_id", None)
        line = super().format(record)
        return f"{line} call={call_id}" if call_id else line

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return mask_text(super().formatException(ei))


class _JSONFormatter(JsonFormatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return mask_text(str(super().formatException(ei)))


def set_up_logging(level: str, log_format: str) -> None:
    """Sends all logs of the process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(
            _JSONFormatter(
                "{asctime}{levelname}{name}{message}",
                style="{",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        )
    else:
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(_Masking())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)  # at DEBUG they print arguments, tokens among them


def about(call_id: str) -> Mapping[str, str]:
    """The `extra` of a log line about a call."""
    return {"call_id": call_id}

"""What Bitrix24 answers where it refuses, with its texts and statuses.

Sources: Bitrix24 REST docs, "System errors" and each method's "Error handling"; where production is known to answer
otherwise (an empty code for telephony errors: bitrix-tools/b24-rest-docs#175), production wins.
"""

from __future__ import annotations

from typing import Any

CORE = "CORE"  # stands for "" or ERROR_CORE, see Account.error_code_mode

SYSTEM: dict[str, tuple[int, str]] = {
    "ERROR_METHOD_NOT_FOUND": (404, "Method not found!"),
    "QUERY_LIMIT_EXCEEDED": (503, "Too many requests"),
    "OVERLOAD_LIMIT": (503, "REST API is blocked due to overload"),
    "OPERATION_TIME_LIMIT": (429, "Method is blocked due to operation time limit."),
    "ERROR_BATCH_METHOD_NOT_ALLOWED": (405, "Method is not allowed for batch usage"),
    "ERROR_BATCH_LENGTH_EXCEEDED": (400, "Max batch length exceeded"),
    "NO_AUTH_FOUND": (401, "Wrong authorization data"),
    "INVALID_CREDENTIALS": (403, "Invalid request credentials"),
    "insufficient_scope": (401, "The request requires higher privileges than provided by the access token"),
    "expired_token": (401, "The access token provided has expired"),
    "invalid_token": (401, "Unable to get application by token"),
    "user_access_error": (401, "The user does not have access to the application."),
    "authorization_error": (401, "Unable to authorize user"),
    "ERROR_OAUTH": (401, "Application not installed"),
    "PAYMENT_REQUIRED": (401, "Subscription has been ended"),
    "PORTAL_DELETED": (403, "Portal was deleted"),
    "INTERNAL_SERVER_ERROR": (500, "Internal server error"),
    "ACCESS_DENIED": (403, "Access denied!"),
}

TELEPHONY: dict[str, str] = {
    "no_user": "USER_ID or USER_PHONE_INNER should be set",
    "bad_user": "User is not found or is not active",
    "bad_type": "Unknown TYPE",
    "bad_date": "CALL_START_DATE should be in the ISO-8601 format",
    "bad_phone": "Unsupported phone number format",
    "no_call": "Call is not found (call should be registered prior to finishing",  # sic
    "not_finished": "Call is not found in the statistic table. Looks like it is not finished yet.",
    "nothing_to_attach": "Required parameters are not set. Request should contain or URL or FILENAME parameter",
    "no_file_name": "File name is empty",
    "bad_extension": "Wrong file extension. Only wav and mp3 are allowed",
    "no_content": "File content is empty.",
    "bad_base64": "File content is not properly encoded. Base64 encoding is expected.",
    "no_phone": "PHONE_NUMBER is empty",
    "no_line_number": "NUMBER should not be empty",
    "line_exists": "Line already exists",
    "no_line_fields": "There are no fields to update",
}


class RestError(Exception):
    """A refusal: `error`, `error_description`, whatever else the body carries, and the HTTP status."""

    def __init__(self, code: str, description: str, status: int = 400, **extra: Any) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description, self.status, self.extra = code, description, status, extra

    def body(self, core_code: str) -> dict[str, Any]:
        """The JSON object that a client sees."""
        code = core_code if self.code == CORE else self.code
        return {"error": code, "error_description": self.description, **self.extra}


def system(code: str) -> RestError:
    """One of the errors that any method can answer."""
    status, text = SYSTEM[code]
    return RestError(code, text, status)


def telephony(key: str) -> RestError:
    """One of telephony's own errors."""
    return RestError(CORE, TELEPHONY[key])


def missing(argument: str) -> RestError:
    """A required parameter that is not there."""
    return RestError("ERROR_ARGUMENT", f"Argument '{argument}' is null or empty", 400, argument=argument)

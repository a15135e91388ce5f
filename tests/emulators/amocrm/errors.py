"""What amoCRM answers where it refuses (facts 1.2 and 1.7), and the plain answers."""

from __future__ import annotations

import json
from typing import Any

from tests.emulators.http import Response

HAL = "application/hal+json"
PROBLEM = "application/problem+json"
FORBIDDEN_PAGE = (
    b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
OAUTH_TYPE = "https://developers.amocrm.ru/v3/errors/OAuthProblemJson"
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    504: "Gateway Timeout",
}


class Problem(Exception):
    """A refusal. `mistake`: a good client never meets it, so it is recorded as a violation in these words."""

    def __init__(self, status: int, detail: str, mistake: str | None = None, **more: Any) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.mistake = status, mistake
        title = TITLES[status]
        self.body = {**more, "title": title, "type": f"https://httpstatus.es/{status}", "status": status}
        self.body["detail"] = detail

    def response(self) -> Response:
        """The answer that a client sees."""
        return problem(self.status, self.body)


class OAuthProblem(Problem):
    """A refusal of the token endpoint, with its hint; without one the client itself is unknown."""

    def __init__(self, status: int, hint: str | None, mistake: str | None = None) -> None:
        super().__init__(status, hint or "client", mistake)
        self.body = {
            "title": "Некорректный запрос",
            "type": OAUTH_TYPE,
            "status": status,
            "detail": "В запросе отсутствует ряд параметров или параметры невалидны",
        }
        if hint is None:
            self.body |= {"title": "Некорректный клиент", "detail": "Авторизация клиента не прошла"}
        else:
            self.body = {"hint": hint, **self.body}


class Page(Exception):
    """A page of a web server in place of an API's answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} as a page")
        self.status, self.body = status, body

    def response(self) -> Response:
        """The answer that a client sees."""
        return Response(self.body, self.status, "text/html")


def unauthorized() -> Problem:
    """No token, or one that is worth nothing."""
    return Problem(401, "Invalid user name or password")


def problem(status: int, body: dict[str, Any], **headers: str) -> Response:
    """A refusal as JSON."""
    return Response(json.dumps(body, ensure_ascii=False).encode(), status, PROBLEM, headers)


def hal(body: Any, status: int = 200) -> Response:
    """A good answer."""
    return Response(json.dumps(body, ensure_ascii=False).encode(), status, HAL)


def nothing() -> Response:
    """What stands for an empty list."""
    return Response(b"", 204, HAL)

"""A stand-in for amoCRM's page with the widget in it, for a real browser, and for our server's doors behind it.

`WidgetPage` answers only the paths under /widget-page and the one where amoCRM's pages have disposable tokens from, so
an emulated account can serve it too, from its own origin: `page.answer(request)` is None for all other paths. It takes
any archive, so one built for a running connector makes the page talk to that.
"""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import jwt

from tests.emulators.http import Loopback, Request, Response

JQUERY = files("flask_bootstrap") / "static" / "bootstrap4" / "jquery.min.js"
"""amoCRM's pages bring jQuery; this one comes with a package that is installed anyway."""
PAGE = (Path(__file__).parent / "widget_page.html").read_text(encoding="utf-8")
CLIENT_UUID = "0b0a3e0c-54f8-4a2b-9d26-6d9a7b1d2c3e"
SECRET = "a secret of the integration, which is long enough"
PHONES = (
    {"value": "+380501112233", "element": {"id": 7, "type": "contacts"}},
    {"value": "050 444-55-66", "element": {"id": 11, "type": "lead"}},
    {"value": "0671234567"},
)
"""The numbers on the page: in a card, in another one of the older kind, and in a list, as `add_action` gets them."""


def disposable_token(
    *,
    issuer: str,
    audience: str,
    user_id: int = 7,
    account_id: int = 1,
    client_uuid: str = CLIENT_UUID,
    secret: str = SECRET,
    **claims: object,
) -> str:
    """A token as amoCRM makes one for each request of a widget (docs, "Disposable tokens")."""
    now = int(time.time())
    known: dict[str, object] = {
        "iss": issuer,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + 1800,
        "account_id": account_id,
        "user_id": user_id,
        "subdomain": "example",
        "client_uuid": client_uuid,
    }
    return jwt.encode(known | claims, secret, algorithm="HS256")


class WidgetPage:
    """The page of one user of an account.

    `token` makes that user's disposable token. `language` is the interface's, `user` and `settings` what the page
    tells the widget about, `missing` the functions of `APP.notifications` that this version of the page lacks.
    `keeps_tokens`: the page shows one token again and again, as amoCRM's is said to do.
    """

    def __init__(
        self,
        archive: bytes,
        token: Callable[[], str],
        *,
        language: str = "en",
        user: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        phones: tuple[Mapping[str, object], ...] = PHONES,
        missing: tuple[str, ...] = (),
        keeps_tokens: bool = False,
        pace: Mapping[str, int] | None = None,
    ) -> None:
        self.archive = archive
        self.token = token
        self.language = language
        self.user = dict(user or {"id": 7, "name": "Anna"})
        self.settings = dict(settings or {"oauth_client_uuid": CLIENT_UUID, "widget_code": "evrotel", "active": "Y"})
        self.phones = phones
        self.missing = missing
        self.keeps_tokens = keeps_tokens
        self.pace = pace
        self.tokens_made = 0

    path = "/widget-page"

    def answer(self, request: Request) -> Response | None:
        """The answer to a request for one of the page's own paths; None for any other."""
        if request.path == self.path:
            return Response(self._html(parse_qs(request.query)))
        if request.path == f"{self.path}/jquery.js":
            return Response(JQUERY.read_bytes(), content_type="text/javascript")
        if request.path.startswith(f"{self.path}/widget/"):
            return self._file(request.path.removeprefix(f"{self.path}/widget/"))
        if request.path == f"/ajax/v2/integrations/{self.settings.get('oauth_client_uuid')}/disposable_token":
            self.tokens_made += 1
            return _json({"token": self.token()})
        return None

    def _html(self, query: Mapping[str, list[str]]) -> bytes:
        language = query.get("lang", [self.language])[0]
        with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
            texts = json.loads(archive.read(f"i18n/{language}.json"))
        facts = {
            "language": language,
            "texts": texts,
            "user": self.user,
            "settings": self.settings,
            "phones": self.phones,
            "missing": [*self.missing, *query.get("missing", [])],
            "keepsTokens": self.keeps_tokens,
            "tokens": f"/ajax/v2/integrations/{self.settings.get('oauth_client_uuid')}/disposable_token",
            "pace": self.pace,
        }
        return PAGE.replace("{/* facts */}", json.dumps(facts).replace("<", "\\u003c")).encode()

    def _file(self, name: str) -> Response:
        with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
            if name not in archive.namelist():
                return Response(b"", 404)
            kind = "text/javascript" if name.endswith(".js") else "application/octet-stream"
            return Response(archive.read(name), content_type=f"{kind}; charset=UTF-8")


class ServedPage:
    """A page of its own origin on loopback."""

    def __init__(self, page: WidgetPage) -> None:
        self.page = page
        self._http = Loopback(self._answer)
        self.origin = self._http.url
        self.url = f"{self.origin}{page.path}"

    def _answer(self, request: Request) -> Response:
        return self.page.answer(request) or Response(b"", 204 if request.path == "/favicon.ico" else 404)

    def __enter__(self) -> Self:
        self._http.listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()
        assert self._http.crashes == []


@dataclass
class Asked:
    """One request of the widget to our server."""

    verb: str
    door: str
    body: Any
    claims: dict[str, Any]


@dataclass
class Doors:
    """A stand-in for our server's doors to the widget of the connection `default`: notes what it is asked, and answers
    what it is told to. Strict about the token and about what browsers need for another origin's requests."""

    origin: str = ""
    secret: str = SECRET
    takes_tokens_once: bool = True
    asked: list[Asked] = field(default_factory=list)
    preflights: int = 0
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {}
        self.open = threading.Event()
        """Cleared, requests wait for their answers."""
        self.http = Loopback(self._answer)
        self.url = self.http.url
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self._answer_as_usual()

    def _answer_as_usual(self) -> None:
        self.answers = {
            "POST click-to-call": (200, {"status": "dialling"}),
            "POST settings": (200, {"status": "saved"}),
            "GET settings": (200, {"connected": True, "text": "", "unknown_extensions": []}),
            "GET calls": (200, {"calls": []}),
        }
        self.open.set()

    def reset(self) -> None:
        """Forgets what was asked, and answers as usual again."""
        self._answer_as_usual()
        self.asked.clear()
        self.wrong.clear()
        self.http.listen()

    def __enter__(self) -> Self:
        self.http.listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.open.set()
        self.http.close()
        assert self.http.crashes == []

    def to(self, what: str) -> list[Asked]:
        """The requests to one door, such as "POST settings", in order."""
        return [each for each in list(self.asked) if f"{each.verb} {each.door}" == what]

    def ring(self, **call: object) -> None:
        """From now on this call is the only one there is."""
        known = {"id": "c1", "number": "+380501112233", "name": "Олена", "card": {"type": "contacts", "id": 7}}
        more = {"state": "ringing", "text": None, "at": int(time.time())}
        self.answers["GET calls"] = (200, {"calls": [known | more | call]})

    def _answer(self, request: Request) -> Response:
        door = request.path.removeprefix("/amocrm/default/")
        if request.headers.get("Origin") != self.origin:
            self.wrong.append(f"{request.verb} {request.path} from {request.headers.get('Origin')}")
            return Response(b"", 403)
        cors = {"Access-Control-Allow-Origin": self.origin, "Vary": "Origin"}
        if request.verb == "OPTIONS":
            self.preflights += 1
            allowed = {"Access-Control-Allow-Headers": "X-Auth-Token, Content-Type", "Access-Control-Max-Age": "600"}
            return Response(b"", 204, headers=cors | allowed)
        status, body = self._judge(request, door)
        return _json(body, status, cors)

    def _judge(self, request: Request, door: str) -> tuple[int, object]:
        if request.verb == "POST" and request.content_type != "application/json":
            self.wrong.append(f"{door} with {request.content_type}")
        try:
            claims = jwt.decode(
                str(request.headers.get("X-Auth-Token")), self.secret, algorithms=["HS256"], audience=self.url
            )
        except jwt.InvalidTokenError as refusal:
            self.wrong.append(f"{door}: {refusal}")
            return 401, {"error": "no valid token"}
        if request.verb == "POST" and self.takes_tokens_once:
            with self._lock:
                used = claims["jti"] in self._used
                self._used.add(claims["jti"])
            if used:
                return 401, {"error": "this token has been used"}
        self.asked.append(Asked(request.verb, door, json.loads(request.body) if request.body else None, claims))
        self.open.wait(5)
        return self.answers[f"{request.verb} {door}"]


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content).encode(), status, "application/json", headers or {})

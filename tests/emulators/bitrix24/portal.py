"""A Bitrix24 portal and its OAuth server on loopback, with everything that a test wants to arrange and to look at."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from tests.emulators.bitrix24 import delivery, telephony
from tests.emulators.bitrix24.faults import Faults
from tests.emulators.bitrix24.frames import page_with_frame
from tests.emulators.bitrix24.limits import OperatingTime, RequestRate
from tests.emulators.bitrix24.oauth import OAuth, Refresh
from tests.emulators.bitrix24.rest import HttpRequest, Invoked, Rest
from tests.emulators.bitrix24.state import ALL_SCOPES, Account, Call, Entity, Line, Token, User, Violation
from tests.emulators.http import Loopback, wait_until

PEOPLE = (
    User(1, "Ірина", "Адміненко", admin=True, inner_phone="100"),
    User(2, "Олена", "Коваль", inner_phone="101"),
    User(3, "Тарас", "Мельник", inner_phone="102"),
)


class Bitrix24:
    """One portal with one local application.

    As a context manager it serves until the end of the block, and fails the block where the emulator itself crashed.
    """

    def __init__(
        self,
        *,
        users: Iterable[User] = PEOPLE,
        scopes: Iterable[str] = ALL_SCOPES,
        client_id: str | None = None,
        client_secret: str | None = None,
        member_id: str | None = None,
        application_token: str | None = None,
        error_code_mode: str = "",
        rate_limit: bool = True,
        installed: bool = False,
    ) -> None:
        self.account = Account(
            client_id=client_id or f"local.{secrets.token_hex(7)}.{secrets.randbelow(10**8):08d}",
            client_secret=client_secret or secrets.token_urlsafe(37),
            member_id=member_id or secrets.token_hex(16),
            application_token=application_token or secrets.token_hex(16),
            scopes=set(scopes),
            error_code_mode=error_code_mode,
            installed=installed,
            users={user.id: User(**vars(user)) for user in users},
        )
        self.faults, self.oauth_faults = Faults(), Faults()
        self.rate_limit = RequestRate(self.account.now, enabled=rate_limit)
        self.operating = OperatingTime(self.account.now)
        self.rest = Rest(self.account, self.faults, self.rate_limit, self.operating)
        self.oauth = OAuth(self.account, self.oauth_faults)
        self._servers = [Loopback(self.rest.answer)]
        self._oauth_server = Loopback(self.oauth.answer)
        self.account.domain = self._servers[0].address
        self.account.oauth_url = self._oauth_server.url
        self.account.fire = self.fire

    def __enter__(self) -> Self:
        self.come_up()
        self.oauth_come_up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.faults.clear()
        self.oauth_faults.clear()
        for server in (*self._servers, self._oauth_server):
            server.close()
        if error is None and self.crashes:
            raise AssertionError("the emulator crashed:\n" + "\n".join(self.crashes))

    # Where it is, and what an admin copies into the connector's settings.

    @property
    def portal(self) -> str:
        """Host and port of the portal; changes when it is renamed."""
        return self.account.domain

    @property
    def portal_url(self) -> str:
        """The portal's address."""
        return f"http://{self.account.domain}"

    @property
    def oauth_url(self) -> str:
        """The OAuth server's address."""
        return self.account.oauth_url

    @property
    def client_id(self) -> str:
        """The application's ID."""
        return self.account.client_id

    @property
    def client_secret(self) -> str:
        """The application's key."""
        return self.account.client_secret

    @property
    def member_id(self) -> str:
        """What stays the same when the portal is renamed."""
        return self.account.member_id

    @property
    def application_token(self) -> str:
        """What proves that an event is from this portal."""
        return self.account.application_token

    # Arranging the portal.

    def add_user(self, number: int, **fields: Any) -> User:
        """Hires an employee; the fields are User's."""
        user = self.account.users[number] = User(number, **fields)
        return user

    def add_contact(self, name: str, *phones: str, assigned_by_id: int = 1) -> Entity:
        """Adds a contact."""
        return self.add_entity("CONTACT", name, *phones, assigned_by_id=assigned_by_id)

    def add_entity(self, kind: str, name: str, *phones: str, assigned_by_id: int = 1) -> Entity:
        """Adds a contact, company, lead or deal."""
        return self.account.keep_entity(Entity(kind, self.account.next_id(), name, phones, assigned_by_id))

    def add_line(self, number: str, name: str = "", crm_auto_create: str = "Y") -> Line:
        """Adds an external line."""
        line = self.account.lines[number] = Line(self.account.next_id(), number, name, crm_auto_create)
        return line

    def add_foreign_call(self, phone: str = "+380441112233", user_id: int = 1) -> Call:
        """A call of another application: nobody else can finish it."""
        with self.account.lock:
            call = telephony.new_call(self.account, user_id, phone, telephony.INCOMING)
            call.app_id = "local.0000000000000.00000000"
        return call

    def issue_token(self, user_id: int = 1) -> Token:
        """Tokens without any installation, for tests that talk to the portal themselves."""
        return self.account.issue_token(user_id)

    # Installation and events.

    def install_form(
        self, user_id: int = 1, *, without: Iterable[str] = (), **overrides: Any
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Query and form of the browser's POST; `without=delivery.OPTIONAL_KEYS` makes an older portal of it."""
        return delivery.install_form(self.account, self.account.issue_token(user_id), without, overrides)

    def page_of_application(self, address: str, user_id: int = 1, **overrides: Any) -> str:
        """The address of the portal's page that opens the application in a frame, for a real browser."""
        path = f"/marketplace/app/{len(self.rest.pages) + 1}/"
        self.rest.pages[path] = page_with_frame(address, self.install_form(user_id, **overrides))
        return self.portal_url + path

    def install_finish(self) -> None:
        """BX24.installFinish(): from now on events are delivered; ONAPPINSTALL is the first."""
        self.account.installed = True
        data = {"VERSION": "1", "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "ua"}
        self.fire("ONAPPINSTALL", data, with_tokens=True)

    def send_event(
        self, url: str, event: str, data: dict[str, Any], *, with_tokens: bool = False, user_id: int = 1, **auth: Any
    ) -> tuple[int, bytes]:
        """Posts an event to any address, bound or not; `auth` overrides what its auth block says (None: leaves out)."""
        token = self.account.issue_token(user_id) if with_tokens else None
        body = delivery.event_body(self.account, event, data, token)
        body["auth"] |= auth
        return delivery.post_form(url, body)

    def fire(self, event: str, data: dict[str, Any], *, with_tokens: bool = False, user_id: int = 1) -> list[int]:
        """Delivers an event to its bound handlers, once the installation is finished; the answers (0: none)."""
        if not self.account.installed or self.account.revoked:
            return []
        bound = [each.handler for each in self.account.handlers if each.event == event and not each.offline]
        statuses = []
        for url in bound:
            try:
                statuses.append(self.send_event(url, event, data, with_tokens=with_tokens, user_id=user_id)[0])
            except (OSError, http.client.HTTPException):
                statuses.append(0)  # the queue makes no second try
        return statuses

    def click_to_call(self, user_id: int, number: str, line_number: str = "", *, times: int = 1, **more: str) -> Call:
        """A user clicks a number: the portal registers the call itself and fires ONEXTERNALCALLSTART.

        `times` has the event sent again; `more` overrides its data (CALL_LIST_ID, IS_MOBILE).
        """
        account, line = self.account, self.account.lines.get(line_number)
        with account.lock:
            create = line is None or line.crm_auto_create == "Y"
            call = telephony.new_call(account, user_id, number, telephony.OUTGOING, line=line, create=create)
            telephony.bind_customer(account, call, "", 0)
            telephony.create_lead(account, call)
        data = {
            "PHONE_NUMBER": number,
            "PHONE_NUMBER_INTERNATIONAL": number,
            "EXTENSION": "",
            "USER_ID": str(user_id),
            "CALL_LIST_ID": "0",
            "LINE_NUMBER": line_number,
            "IS_MOBILE": "0",
            "CALL_ID": call.call_id,
            "CRM_ENTITY_TYPE": call.crm_entity.type if call.crm_entity else "",
            "CRM_ENTITY_ID": str(call.crm_entity.id) if call.crm_entity else "",
        }
        for _ in range(times):
            self.fire("ONEXTERNALCALLSTART", data | more, user_id=user_id)
        return call

    def ask_for_callback(self, number: str, line_number: str = "", entity: Entity | None = None) -> list[int]:
        """A client fills in a CRM form with a call-back: ONEXTERNALCALLBACKSTART, which has no CALL_ID and no user."""
        data = {
            "PHONE_NUMBER": number,
            "TEXT": "Please call me back",
            "VOICE": "",
            "CRM_ENTITY_TYPE": entity.type if entity else "",
            "CRM_ENTITY_ID": str(entity.id) if entity else "",
            "LINE_NUMBER": line_number,
        }
        return self.fire("ONEXTERNALCALLBACKSTART", data)

    def run_robot(self, code: str, event_token: str, **properties: str) -> tuple[int, bytes]:
        """A workflow comes to the robot: its handler is called, and the workflow waits for bizproc.event.send."""
        robot = self.account.robots[code]
        auth = delivery.event_body(self.account, "", {}, None)["auth"]
        body = {
            "workflow_id": "5c9b5d5a0f0d01.12345678",
            "code": code,
            "document_id": ["crm", "CCrmDocumentLead", "LEAD_1"],
            "document_type": ["crm", "CCrmDocumentLead", "LEAD"],
            "event_token": event_token,
            "properties": properties,
            "use_subscription": "Y",
            "timeout_duration": "0",
            "ts": str(int(self.account.now())),
            "auth": auth,
        }
        return delivery.post_form(str(robot["HANDLER"]), body)

    # Trouble that is no fault of a single request: `faults` and `oauth_faults` have those.

    def go_down(self) -> None:
        """The portal refuses connections."""
        for server in self._servers:
            server.go_down()

    def come_up(self) -> None:
        """The portal listens, at the same address as before."""
        for server in self._servers:
            server.listen()

    def oauth_go_down(self) -> None:
        """The OAuth server refuses connections."""
        self._oauth_server.go_down()

    def oauth_come_up(self) -> None:
        """The OAuth server listens again."""
        self._oauth_server.listen()

    def expire_access_tokens(self) -> None:
        """All access tokens have run out; refresh tokens still serve."""
        with self.account.lock:
            for token in self.account.tokens.values():
                token.expires_at = min(token.expires_at, self.account.now())

    def revoke_application(self, *, notify: bool = False) -> None:
        """An admin deletes the application with its handlers, lines and tokens; `notify`: ONAPPUNINSTALL goes out."""
        if notify:
            self.fire("ONAPPUNINSTALL", {"LANGUAGE_ID": "ua", "CLEAN": "0"})
        with self.account.lock:
            self.account.revoked, self.account.installed = True, False
            for kept in (self.account.handlers, self.account.placements, self.account.lines, self.account.robots):
                kept.clear()
            for token in self.account.tokens.values():
                token.revoked = True

    def restore_application(self) -> None:
        """An admin installs the application again; the old tokens stay dead."""
        self.account.revoked = False

    def dismiss(self, user_id: int) -> None:
        """Fires an employee: his tokens are worth nothing from now on."""
        self.account.users[user_id].active = False

    def require_payment(self, required: bool = True) -> None:
        """The subscription has ended, or is paid again."""
        self.account.payment_required = required

    def rename(self) -> str:
        """Moves the portal to a new address, which it returns; the old one answers 302."""
        server = Loopback(self.rest.answer)
        server.listen()
        self._servers.append(server)
        self.account.former_domains.add(self.account.domain)
        self.account.domain = server.address
        return server.address

    def advance(self, seconds: float) -> None:
        """Moves the portal's clock forward: tokens age, calls age, limits relax."""
        self.account.advance(seconds)

    # Looking at what happened.

    @property
    def crashes(self) -> list[str]:
        """Tracebacks of the emulator's own mistakes."""
        return [crash for server in (*self._servers, self._oauth_server) for crash in server.crashes]

    @property
    def violations(self) -> list[Violation]:
        """What the client did that a good client never does."""
        return self.account.violations

    @property
    def requests(self) -> list[HttpRequest]:
        """HTTP requests to the portal, in order of arrival."""
        return self.rest.requests

    @property
    def invoked(self) -> list[Invoked]:
        """Methods that were run, those within batches too."""
        return self.rest.invoked

    @property
    def refreshes(self) -> list[Refresh]:
        """Attempts to refresh a token, refused ones too."""
        return self.oauth.refreshes

    @property
    def calls(self) -> list[Call]:
        """All calls, in order of registration."""
        return list(self.account.calls.values())

    def calls_by_external_id(self) -> dict[str, list[Call]]:
        """Calls under the ID that the client gave them; more than one under one ID is a double entry."""
        found: dict[str, list[Call]] = {}
        for call in self.calls:
            if call.external_call_id is not None:
                found.setdefault(call.external_call_id, []).append(call)
        return found

    def finished_calls(self) -> list[Call]:
        """Calls that were finished."""
        return [call for call in self.calls if call.finished]

    def request_count(self, method: str | None = None) -> int:
        """HTTP requests to the portal, all or those of one method (`batch` is a method too)."""
        return sum(method is None or each.method.lower() == method.lower() for each in self.requests)

    def invocation_count(self, method: str, *, failed: bool | None = None) -> int:
        """How often a method was run, alone or within a batch."""
        return sum(
            each.method.lower() == method.lower() and failed in (None, each.error is not None) for each in self.invoked
        )

    def wait_until(self, predicate: Callable[[], object], timeout: float = 5.0) -> bool:
        """Waits until something is true; False where time was up first."""
        return wait_until(predicate, timeout)

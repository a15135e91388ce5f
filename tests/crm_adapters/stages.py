"""Each CRM on a stage: its emulator and a connection to it, in the same words for all.

The suite over the registry (`test_every_crm.py`) needs one for each CRM: a new one without a stage fails there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from types import TracebackType
from typing import Any, ClassVar, Self

from crm_adapters.amocrm.oauth import exchanged
from crm_adapters.contract import CRMAdapter
from crm_adapters.oauth import Tokens
from crm_adapters.registry import adapter_class
from tests.crm_adapters.fakes import MemoryTokens, Unlimited, make_account
from tests.emulators.amocrm import AmoCRM
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.onec import OneC
from tests.emulators.webhook import OwnCRM, Script
from tests.emulators.webhook.crm import SECRET

GUID = "6f0d3c1e-1111-4222-8333-444455556666"


class Stage(ABC):
    """A CRM that answers, and a connection that is signed in to it. `user_id` is an employee of it."""

    slug: ClassVar[str]
    user_id = "2"

    def __init__(self) -> None:
        self.crm = self.make()

    @abstractmethod
    def make(self) -> Any:
        """The emulator."""

    @abstractmethod
    def adapter(self) -> CRMAdapter:
        """The connection's adapter."""

    @abstractmethod
    def secrets(self) -> list[str]:
        """What must stand in no log and no kept exchange."""

    @abstractmethod
    def logged(self) -> int:
        """How many calls somebody who looks finds in the CRM."""

    @abstractmethod
    def writes(self) -> int:
        """How many requests so far have changed something."""

    @abstractmethod
    def revoke(self) -> None:
        """The CRM refuses us from now on, until a person acts."""

    def __enter__(self) -> Self:
        self.crm.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.crm.__exit__(None, None, None)


class OnBitrix24(Stage):
    slug = "bitrix24"

    def make(self) -> Bitrix24:
        return Bitrix24(installed=True)

    def adapter(self) -> CRMAdapter:
        token = self.crm.issue_token()
        extra = {
            "user_id": "1",
            "member_id": self.crm.member_id,
            "application_token": self.crm.application_token,
        }
        endpoint = f"{self.crm.portal_url}/rest/"
        tokens = Tokens(access=token.access, refresh=token.refresh, expires_at=None, endpoint=endpoint, extra=extra)
        settings = {"bitrix24_client_id": self.crm.client_id, "bitrix24_client_secret": self.crm.client_secret}
        account = make_account(settings, oauth_url=self.crm.oauth_url)
        return adapter_class(self.slug)(replace(account, tokens=MemoryTokens(tokens)))

    def secrets(self) -> list[str]:
        return [self.crm.client_secret, self.crm.application_token]

    def logged(self) -> int:
        return len(self.crm.calls)

    def writes(self) -> int:
        reads = ("get", "list", "search", "fields", "info", "profile", "scope", "current", "batch")
        others = ("searchcrmentities", "event.test")
        return sum(not each.method.lower().endswith(reads + others) for each in self.crm.invoked)

    def revoke(self) -> None:
        self.crm.revoke_application()


class OnAmoCRM(Stage):
    slug = "amocrm"
    user_id = "7"

    def make(self) -> AmoCRM:
        made = AmoCRM(redirect_uri="http://127.0.0.1:1/amocrm/acme/callback")
        made.rate.enabled = False
        return made

    def adapter(self) -> CRMAdapter:
        settings = {"amocrm_client_id": self.crm.client_id, "amocrm_client_secret": self.crm.client_secret}
        account = make_account(settings, limiter=Unlimited())
        account = replace(account, public_url="http://127.0.0.1:1", connection="acme")
        tokens = exchanged(account, self.crm.url, self.crm.consent())
        self.crm.add_contact("Ірина", "+380671234567")
        return adapter_class(self.slug)(replace(account, tokens=MemoryTokens(tokens)))

    def secrets(self) -> list[str]:
        return [self.crm.client_secret]

    def logged(self) -> int:
        return len(self.crm.call_notes())

    def writes(self) -> int:
        return sum(each.method not in {"GET", "HEAD"} for each in self.crm.requests)

    def revoke(self) -> None:
        self.crm.revoke()


class OnWebhook(Stage):
    slug = "webhook"

    def make(self) -> OwnCRM:
        return OwnCRM()

    def adapter(self) -> CRMAdapter:
        return adapter_class(self.slug)(make_account({"webhook_url": self.crm.url, "webhook_secret": SECRET}))

    def secrets(self) -> list[str]:
        return [SECRET]

    def logged(self) -> int:
        return len(self.crm.of_type("call.finished"))

    def writes(self) -> int:
        return sum(event.type != "ping" for event in self.crm.requests)

    def revoke(self) -> None:
        self.crm.always = Script(410)


class OnOneC(Stage):
    slug = "onec"
    user_id = GUID

    def make(self) -> OneC:
        return OneC()

    def adapter(self) -> CRMAdapter:
        self.crm.rows["Catalog_Пользователи"][GUID] = {"Ref_Key": GUID, "Description": "Марія", "DeletionMark": False}
        settings = {"onec_url": self.crm.url, "onec_user": self.crm.user, "onec_password": self.crm.password}
        return adapter_class(self.slug)(make_account(settings | {"extensions": f"101={GUID}"}))

    def secrets(self) -> list[str]:
        return [self.crm.password]

    def logged(self) -> int:
        return len(self.crm.documents("Document_ТелефонныйЗвонок"))

    def writes(self) -> int:
        return len(self.crm.writes())

    def revoke(self) -> None:
        self.crm.password = "another"


class Nobody:
    """Where the journal's calls are told."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class OnJournal(Stage):
    slug = "journal"

    def make(self) -> Nobody:
        return Nobody()

    def adapter(self) -> CRMAdapter:
        return adapter_class(self.slug)(make_account({}))

    def secrets(self) -> list[str]:
        return []

    def logged(self) -> int:
        return 1  # the connector's own list of calls

    def writes(self) -> int:
        return 0

    def revoke(self) -> None:
        pass


STAGES: dict[str, type[Stage]] = {stage.slug: stage for stage in (OnJournal, OnBitrix24, OnAmoCRM, OnWebhook, OnOneC)}

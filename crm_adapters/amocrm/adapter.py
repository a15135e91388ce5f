"""Calls in amoCRM and Kommo: the card while the phone rings, the call on the timeline when it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from crm_adapters.amocrm import DESCRIPTION, EXTENSIONS, cards, tasks
from crm_adapters.amocrm.archive import widget_archive, widget_version
from crm_adapters.amocrm.calls import tell_ends
from crm_adapters.amocrm.client import amo_account
from crm_adapters.amocrm.doors import asks_at, open_door, trusts
from crm_adapters.amocrm.findings import findings
from crm_adapters.amocrm.library import all_of
from crm_adapters.amocrm.oauth import consent_url, refreshed
from crm_adapters.amocrm.people import client_of
from crm_adapters.amocrm.rounds import Round
from crm_adapters.amocrm.signing_in import by_settings, redeemed
from crm_adapters.contract import CRMAdapter, CRMUser, Finding, Priority, Save, Telling
from crm_adapters.door_answers import DoorAnswer, DoorRequest, Installed, InstallOffered
from crm_adapters.errors import AdapterError
from crm_adapters.events import CallEnded, CallMissed, CallReturned, CallStarted
from crm_adapters.settings import parse_user_by_extension

KEEP_ALIVE = timedelta(days=7)
"""Refresh tokens live three months (amoCRM docs, OAuth)."""

PROOF_SECONDS = 15.0


class Adapter(CRMAdapter):
    """One connection's account."""

    description = DESCRIPTION

    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        """Sets the outcome of each telling; see the contract. Raises what `save` raises."""
        tellings = self.declared(tellings)
        starts = [each for each in tellings if isinstance(each.event, CallStarted)]
        try:
            with amo_account(self.account, priority=Priority.START if starts else priority, seconds=seconds) as amo:
                _tell(Round(amo, save), starts, tellings)
        except AdapterError as error:
            for telling in tellings:
                telling.error = error

    def users(self, *, seconds: float = 60.0) -> list[CRMUser]:
        """All users, with the inner numbers that the widget was given. Raises AdapterError."""
        given = {user: ext for ext, user in parse_user_by_extension(self.account.settings.get(EXTENSIONS, "")).items()}
        with amo_account(self.account, priority=Priority.BACKGROUND, seconds=seconds) as amo:
            rows = list(all_of(amo.users))
        return [
            CRMUser(
                id=str(row["id"]),
                name=str(row.get("name") or row["id"]),
                extension=given.get(str(row["id"])),
                active=_is_active(row.get("rights")),
            )
            for row in rows
            if isinstance(row.get("id"), int)
        ]

    def responsible(self, number: str, *, seconds: float = 5.0) -> str | None:
        """The user responsible for the client with this number. Raises AdapterError."""
        with amo_account(self.account, priority=Priority.START, seconds=seconds) as amo:
            found = client_of(amo, number)
        return found.user_id if found else None

    def check(self) -> list[Finding]:
        """What is right and wrong with the integration, the account and its users."""
        return findings(self.account, self.users)

    def keep_alive(self) -> None:
        """Refreshes the tokens where that was not done for a week. Raises AdapterError."""
        tokens = self.account.tokens.current()
        if self.account.settings.get("amocrm_long_lived_token") or tokens is None or not tokens.refresh:
            return
        if datetime.now(UTC) - _moment(tokens.extra.get("refreshed_at")) >= KEEP_ALIVE:
            self.account.tokens.renewed(tokens, lambda kept: refreshed(self.account, kept))

    def consent_url(self, state: str, site: str) -> str:
        """amoCRM's or Kommo's page of consent. Raises Misconfigured."""
        return consent_url(self.account, state, site)

    def redeem(self, offer: InstallOffered) -> Installed:
        """The account that installed the widget by itself. Raises AdapterError."""
        return redeemed(self.account, offer.host, offer.code, Priority.BACKGROUND)

    def sign_in(self) -> Installed | None:
        """The account of the long-lived token, None without one. Raises AdapterError."""
        return by_settings(self.account)

    def prove_sign_in(self) -> None:
        """Asks the account who it is. Raises AdapterError."""
        with amo_account(self.account, priority=Priority.BACKGROUND, seconds=PROOF_SECONDS) as amo:
            amo.info(fresh=True)

    def trusts(self, origin: str) -> bool:
        """The account's own pages."""
        return trusts(self.account, origin)

    def widget(self, moment: datetime) -> bytes:
        """The archive to upload under the integration's files."""
        return widget_archive(
            base_url=self.account.public_url, connection=self.account.connection, version=widget_version(moment)
        )

    def asks_at(self, request: DoorRequest) -> bool:
        """Whether the account is asked: where somebody comes back from the consent, or takes the access away."""
        return asks_at(request)

    def open_door(self, request: DoorRequest) -> DoorAnswer:
        """What a request of amoCRM's servers or of a page in it means. Raises AdapterError."""
        return open_door(self.account, request)


def _tell(round_: Round, starts: Sequence[Telling], tellings: Sequence[Telling]) -> None:
    """Phones that ring first, then what has ended."""
    round_.each(starts, lambda telling: cards.open_card(round_, telling))
    tell_ends(round_, [each for each in tellings if isinstance(each.event, CallEnded)])
    round_.each(_of(tellings, CallMissed), lambda telling: tasks.miss(round_, telling))
    round_.each(_of(tellings, CallReturned), lambda telling: tasks.complete(round_, telling))


def _is_active(rights: object) -> bool:
    return not isinstance(rights, dict) or bool(rights.get("is_active", True))


def _of(tellings: Sequence[Telling], kind: type) -> list[Telling]:
    return [each for each in tellings if isinstance(each.event, kind)]


def _moment(text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

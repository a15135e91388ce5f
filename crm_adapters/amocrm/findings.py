"""What is right and wrong with the integration and its account, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from crm_adapters.amocrm.client import OTHER_ACCOUNT, amo_account
from crm_adapters.amocrm.oauth import redirect_uri
from crm_adapters.contract import Account, CRMUser, Finding, Priority
from crm_adapters.errors import AccountTrouble, AdapterError, Misconfigured, SignInRefused
from crm_adapters.findings import doubtful, right, some_of, wrong
from crm_adapters.settings import parse_user_by_extension
from crm_adapters.texts import marked as _

SECONDS = 15.0
CONNECT = _("Connect the account in the panel: %(url)s")
GIVE_NUMBERS = _("Give inner numbers in the widget's settings in amoCRM, or in the setting extensions.")


def findings(account: Account, users: Callable[[], list[CRMUser]]) -> list[Finding]:
    """One for each thing that is looked at. Changes nothing, raises nothing of amoCRM's."""
    return [*_integration(account), *_account(account, users), *_links(account)]


def _integration(account: Account) -> Iterator[Finding]:
    missing = [key for key in ("amocrm_client_id", "amocrm_client_secret") if not account.settings.get(key)]
    if not missing:
        yield right("integration", _("The integration's ID and secret are set."))
        return
    named = ", ".join(missing)
    if account.settings.get("amocrm_long_lived_token"):
        text = _("%(keys)s not set: the widget's clicks can't be checked.")
        yield doubtful("integration", text, _("Set them from the integration's page."), keys=named)
    else:
        text = _("%(keys)s not set.")
        fix = _("Set them from the integration's page, whose redirect link is %(url)s")
        yield wrong("integration", text, fix, keys=named, url=redirect_uri(account))


def _account(account: Account, users: Callable[[], list[CRMUser]]) -> Iterator[Finding]:
    url = f"{account.public_url}/amocrm/{account.connection}/connect"
    try:
        with amo_account(account, priority=Priority.BACKGROUND, seconds=SECONDS) as amo:
            info = amo.info(fresh=True)
            if account.bound_to() not in {None, info.id}:
                raise SignInRefused(OTHER_ACCOUNT)
            yield right("signed-in", _("Signed in to %(account)s (%(url)s)."), account=info.name, url=amo.url)
    except SignInRefused as error:
        yield wrong("signed-in", "%(why)s", CONNECT, why=error, url=url)
        return
    except Misconfigured as error:
        fix = _("Compare the ID, the secret and the redirect link with the integration's page.")
        yield wrong("integration", "%(why)s", fix, why=error)
        return
    except AdapterError as error:
        yield wrong("signed-in", _("The account does not answer: %(why)s"), _("Calls are kept meanwhile."), why=error)
        return
    if info.has_unsorted:
        yield right("unsorted", _("Unknown callers go to Unsorted."))
    else:
        yield right("unsorted", _("Unsorted is off in the account: unknown callers become contacts."))
    yield from _users(account, users)


def _users(account: Account, users: Callable[[], list[CRMUser]]) -> Iterator[Finding]:
    own = parse_user_by_extension(account.settings.get("extensions", ""))
    try:
        known = users()
    except AccountTrouble as error:
        yield doubtful("users", _("The users could not be read: %(why)s"), _("Try again later."), why=error)
        return
    except AdapterError as error:
        text = _("The users can't be read: %(why)s")
        fix = _("Connect as an administrator of the account: only they may read the list of users.")
        yield doubtful("users", text, fix, why=error)
        return
    active = {user.id: user.name for user in known if user.active}
    numbers: dict[str, list[str]] = defaultdict(list)
    for user in known:
        if user.extension:
            numbers[user.extension].append(user.id)
    for extension, user_id in own.items():
        numbers[extension] = [user_id]
    text = _("%(numbers)s inner numbers of %(employees)s employees.")
    if numbers:
        yield right("users", text, numbers=len(numbers), employees=len(active))
    else:
        yield doubtful("users", text, GIVE_NUMBERS, numbers=0, employees=len(active))
    gone = [extension for extension, ids in sorted(numbers.items()) if not set(ids) & set(active)]
    if gone:
        text = _("Inner numbers of users who are gone or blocked: %(numbers)s. Their calls go to the default user.")
        yield doubtful("users-gone", text, GIVE_NUMBERS, numbers=some_of(gone))


def _links(account: Account) -> Iterator[Finding]:
    if account.public_url.startswith("https://") or account.allow_local:
        return
    text = _("The address %(url)s is not https: amoCRM plays no recordings from it and sends nobody back to it.")
    yield wrong("address", text, _("Set PUBLIC_URL to the https address of this server."), url=account.public_url)

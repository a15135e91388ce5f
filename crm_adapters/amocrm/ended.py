"""What all steps of telling an ended call share: the event itself, and whom amoCRM is to be told of."""

from __future__ import annotations

from crm_adapters.amocrm import mapping
from crm_adapters.contract import Telling
from crm_adapters.errors import AdapterError, Refused
from crm_adapters.events import CallEnded

WITHOUT_USERS = "without_users"
DEFAULT_ONLY, NOBODY = 1, 2
"""After the account did not know a user: the connection's default one is named, and then nobody."""
USER_PATHS = ("responsible_user_id", "created_by", "updated_by", "call_responsible")


def ended(telling: Telling) -> CallEnded:
    """The telling's event."""
    assert isinstance(telling.event, CallEnded)  # noqa: S101 - tell_ends gets no others; for the type checker
    return telling.event


def users_of(telling: Telling) -> tuple[int | None, int | None]:
    """IDs of the author, whose extension it was, and of the responsible, as far as the account takes them."""
    event, without = ended(telling), telling.progress.get(WITHOUT_USERS, 0)
    if without:
        return None, mapping.user_number(event.fallback_user_id) if without == DEFAULT_ONLY else None
    author = mapping.user_number(mapping.first_active([event.user_id], event.employees))
    return author, mapping.user_number(telling.crm_user_id)


def names_fewer(telling: Telling) -> bool:
    """Has the next try name fewer users; False where it names none already."""
    without = telling.progress.get(WITHOUT_USERS, 0)
    telling.progress[WITHOUT_USERS] = without + 1
    return bool(without < NOBODY)


def blames_user(error: AdapterError) -> bool:
    """Whether a refusal is about a user that the account does not have."""
    return isinstance(error, Refused) and any(path in str(error) for path in USER_PATHS)

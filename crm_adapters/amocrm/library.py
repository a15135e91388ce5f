"""amocrm-api, kept to what it does well: paths and paging. All that it gets wrong is ours.

Of version 2.6.1: hosts are amocrm.ru alone, no request has a time-out, errors lose their bodies, the shared token
manager mixes accounts and refreshes without a lock, its `Call` sends nulls and floats, and its import prints debug
lines. So only Interactions are used, each with a token manager and a `_request` of our own
(tests/crm_adapters/amocrm/test_library.py holds the library to what is overridden).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from amocrm.v2.entity.company import CompaniesInteraction
from amocrm.v2.entity.contact import ContactsInteraction
from amocrm.v2.entity.task import TasksInteraction
from amocrm.v2.entity.user import UsersInteraction
from amocrm.v2.interaction import BaseInteraction, GenericInteraction
from amocrm.v2.tokens import TokenManager

from crm_adapters.errors import Unreachable

_logger = logging.getLogger("amocrm")
for _handler in list(_logger.handlers):
    _logger.removeHandler(_handler)  # its import attaches one that prints everything

MOST_ROWS = 5000

Send = Callable[[str, str, Any, Any], tuple[Any, int]]
"""Method, path below /api/v4/ (or from the root, with a slash), data, parameters; to the body and the status."""


class AccountTokens(TokenManager):  # type: ignore[misc]  # the library has no annotations
    """Gives one account's token; everything else of the library's own manager is out of use."""

    def __init__(self, access_token: Callable[[], str]) -> None:
        super().__init__()
        self._access_token = access_token

    def __call__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("an account's token manager is made with its tokens")

    def init(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("codes are exchanged by crm_adapters.amocrm.oauth")

    def get_access_token(self) -> str:
        return self._access_token()


class _OfAccount(BaseInteraction):  # type: ignore[misc]  # as above
    """An Interaction whose requests go the account's own way."""

    def __init__(self, token_manager: AccountTokens, send: Send, **others: Any) -> None:
        super().__init__(token_manager=token_manager, session=None, **others)
        self._send = send

    def _request(
        self, method: str, path: str, data: Any = None, params: Any = None, headers: Any = None
    ) -> tuple[Any, int]:
        del headers
        return self._send(method, path, data, params)


class Contacts(_OfAccount, ContactsInteraction):  # type: ignore[misc]  # as above
    """`contacts`."""


class Companies(_OfAccount, CompaniesInteraction):  # type: ignore[misc]  # as above
    """`companies`."""


class Tasks(_OfAccount, TasksInteraction):  # type: ignore[misc]  # as above
    """`tasks`."""


class Users(_OfAccount, UsersInteraction):  # type: ignore[misc]  # as above
    """`users`."""


class Rows(_OfAccount, GenericInteraction):  # type: ignore[misc]  # as above
    """Any other list: `path` and the `field` of its `_embedded`."""


def all_of(interaction: Any, **how: Any) -> Iterator[dict[str, Any]]:
    """The rows of a list, page by page, at most MOST_ROWS of them. Raises AdapterError."""
    try:
        for row in islice(interaction.get_all(**how), MOST_ROWS):
            if isinstance(row, dict):
                yield row
    except (KeyError, TypeError, AttributeError):  # what the library makes of an answer that is no list
        raise Unreachable("amoCRM's list is none") from None

"""An adapter's settings as typed fields: the command line and the panel's form are drawn from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crm_adapters.addresses import is_web_address

Check = Callable[[str], str]
_LINE = r"\+?\d{3,15}"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting of a connection.

    `check` takes the text that a person gave and returns the text to keep, or raises ValueError saying what it
    should be. `secret` values are kept encrypted and never shown again. `outside`: an address that the connector asks,
    which must be a public one by https unless the deployment allows others. `make` makes up a value where none is
    given.
    """

    key: str
    label: str
    help: str = ""
    default: str = ""
    secret: bool = False
    required: bool = False
    choices: tuple[str, ...] = ()
    check: Check = str.strip
    outside: bool = False
    make: Callable[[], str] | None = None

    def clean(self, value: str) -> str:
        """The value as it is kept. An empty one unsets the field. Raises ValueError naming the key."""
        value = value.strip()
        if not value:
            return ""
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.key} should be one of {', '.join(self.choices)}")
        try:
            return self.check(value)
        except ValueError as error:
            raise ValueError(f"{self.key} should be {error}") from None


def matching(pattern: str, meaning: str) -> Check:
    """A check by regular expression over the whole value; `meaning` completes "KEY should be ..."."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(meaning)
        return value

    return check


def web_address(value: str) -> str:
    """An http(s) address without credentials, query or fragment."""
    if not is_web_address(value):
        raise ValueError("a web address such as https://host/path")
    return value


def users_by_line(value: str) -> str:
    """`+380441112233=7+9,...`: CRM user IDs for each line."""
    parse_users_by_line(value)
    return ",".join(part.strip() for part in value.split(",") if part.strip())


def parse_users_by_line(value: str) -> Mapping[str, tuple[str, ...]]:
    """The mapping of `LINE=USER+USER,...`; empty text gives none. Raises ValueError on anything else."""
    several = r"[\w-]{1,64}(\+[\w-]{1,64})*"
    lines = _pairs(value, _LINE, several, "LINE=CRM_USER_ID+CRM_USER_ID,... such as +380441112233=7+9")
    return {line: tuple(users.split("+")) for line, users in lines.items()}


def words_by_line(value: str) -> str:
    """`+380441112233=CALL,...`: a word for each line."""
    parse_words_by_line(value)
    return ",".join(part.strip() for part in value.split(",") if part.strip())


def parse_words_by_line(value: str) -> Mapping[str, str]:
    """The mapping of `LINE=WORD,...`; empty text gives none. Raises ValueError on anything else."""
    return _pairs(value, _LINE, r"[\w-]{1,64}", "LINE=ID,... such as +380441112233=CALL")


def user_by_extension(value: str) -> str:
    """`101=7,102=9`: a CRM user ID for each extension."""
    parse_user_by_extension(value)
    return ",".join(part.strip() for part in value.split(",") if part.strip())


def parse_user_by_extension(value: str) -> Mapping[str, str]:
    """The mapping of `101=7,102=9`; empty text gives none. Raises ValueError on anything else."""
    return _pairs(value, r"\d{1,5}", r"[\w-]{1,64}", "EXT=CRM_USER_ID,... such as 101=7,102=9")


def _pairs(value: str, key_pattern: str, value_pattern: str, meaning: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        key, _, what = (piece.strip() for piece in part.partition("="))
        if not (re.fullmatch(key_pattern, key) and re.fullmatch(value_pattern, what)):
            raise ValueError(meaning)
        if key in pairs:
            raise ValueError(f"one entry for each key, {key} stands twice")
        pairs[key] = what
    return pairs

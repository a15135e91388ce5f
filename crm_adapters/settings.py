"""An adapter's settings as typed fields: the command line and the panel's form are drawn from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crm_adapters.addresses import is_web_address

Check = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting of a connection.

    `check` takes the text that a person gave and returns the text to keep, or raises ValueError saying what it
    should be. `secret` values are kept encrypted and never shown again.
    """

    key: str
    label: str
    help: str = ""
    default: str = ""
    secret: bool = False
    required: bool = False
    choices: tuple[str, ...] = ()
    check: Check = str.strip

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


def user_by_extension(value: str) -> str:
    """`101=7,102=9`: a CRM user ID for each extension."""
    parse_user_by_extension(value)
    return ",".join(part.strip() for part in value.split(",") if part.strip())


def parse_user_by_extension(value: str) -> Mapping[str, str]:
    """The mapping of `101=7,102=9`; empty text gives none. Raises ValueError on anything else."""
    pairs: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        extension, equals, user = (piece.strip() for piece in part.partition("="))
        if not (equals and re.fullmatch(r"\d{1,5}", extension) and re.fullmatch(r"[\w-]{1,64}", user)):
            raise ValueError("EXT=CRM_USER_ID,... such as 101=7,102=9")
        if extension in pairs:
            raise ValueError(f"one CRM user for each extension, {extension} stands twice")
        pairs[extension] = user
    return pairs

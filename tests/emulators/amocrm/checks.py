"""How amoCRM looks at what it is sent: an array of objects, each field of its type, nothing unknown, no nulls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.errors import Problem
from tests.emulators.amocrm.state import Account

MOST = 250
LAST_SECOND = 4_102_444_800  # the year 2100: whatever is above is milliseconds
DETAILS = {
    "FieldMissing": "This field is missing.",
    "NotSupportedField": "This field was not expected.",
    "NotNullable": "This value should not be null.",
    "InvalidType": "This value has not the right type.",
    "InvalidRange": "This value is out of range.",
    "NotBlank": "This value should not be blank.",
    "InvalidUrl": "This value is not a valid URL.",
    "NotSupportedChoice": "The value you selected is not a valid choice.",
    "NotUnique": "This value is already used.",
}


class Complaint(NamedTuple):
    """One error of a validation. No `mistake`: a good client meets it too, for instance when a user is dismissed."""

    code: str
    path: str
    mistake: bool = True

    def shown(self) -> dict[str, str]:
        """As it is answered."""
        return {"code": self.code, "path": self.path, "detail": DETAILS[self.code]}


@dataclass(frozen=True)
class Field:
    """What one field may be: one of `kinds`, which are `int`, `str`, `bool`, `dict` and `list`."""

    kinds: tuple[type, ...]
    required: bool = False
    choices: Collection[Any] | None = None
    inside: Mapping[str, Field] | None = None
    known: Callable[[Account, Any], bool] | None = None
    filled: bool = False
    lowest: int | None = None
    highest: int = LAST_SECOND
    url: bool = False
    either: tuple[str, ...] = ()

    def check(self, account: Account, value: Any, path: str) -> Iterator[Complaint]:
        """What is wrong with a value."""
        if value is None:
            yield Complaint("NotNullable", path)
        elif type(value) not in self.kinds:
            yield Complaint("InvalidType", path)
        elif isinstance(value, dict) and self.inside is not None:
            yield from check(account, value, self.inside, path)
        elif isinstance(value, list) and self.inside is not None:
            for index, each in enumerate(value):
                yield from check(account, each, self.inside, f"{path}.{index}")
                if self.either and isinstance(each, dict) and not any(name in each for name in self.either):
                    yield Complaint("FieldMissing", f"{path}.{index}.{self.either[0]}")
        else:
            yield from self._plain(account, value, path)

    def _plain(self, account: Account, value: Any, path: str) -> Iterator[Complaint]:
        if self.filled and not value:
            yield Complaint("NotBlank", path)
        elif type(value) is int and self.lowest is not None and not self.lowest <= value <= self.highest:
            yield Complaint("InvalidRange", path)
        elif self.url and value and urlsplit(value).scheme not in ("http", "https"):
            yield Complaint("InvalidUrl", path)
        elif self.choices is not None and value not in self.choices:
            yield Complaint("NotSupportedChoice", path)
        elif self.known is not None and not self.known(account, value):
            yield unknown(path)


def text(*, required: bool = False, filled: bool = False, choices: Collection[str] | None = None) -> Field:
    """Words."""
    return Field((str,), required, choices, filled=filled)


def number(*, required: bool = False, lowest: int = 0, choices: Collection[int] | None = None) -> Field:
    """A whole number; neither a float nor a bool."""
    return Field((int,), required, choices, lowest=lowest)


def moment(*, required: bool = False) -> Field:
    """Unix seconds."""
    return Field((int,), required, lowest=1)


def flag() -> Field:
    """True or false."""
    return Field((bool,))


def user(*, robot: bool = False) -> Field:
    """The number of a user who is there; `robot`: 0 too."""
    return Field((int,), known=lambda account, value: account.is_user(value) or (robot and value == 0))


def nested(inside: Mapping[str, Field] | None, *, required: bool = False) -> Field:
    """An object."""
    return Field((dict,), required, inside=inside)


def many(inside: Mapping[str, Field], *, either: tuple[str, ...] = ()) -> Field:
    """An array of objects, each with at least one of the fields `either`."""
    return Field((list,), inside=inside, either=either)


CALL_RESPONSIBLE = Field((int, str), known=lambda account, value: isinstance(value, str) or account.is_user(value))


def unknown(path: str) -> Complaint:
    """The number of a user, contact or lead that is not there, or no longer."""
    return Complaint("NotSupportedChoice", path, mistake=False)


def check(account: Account, item: Any, schema: Mapping[str, Field], path: str = "") -> Iterator[Complaint]:
    """What is wrong with an object."""
    if not isinstance(item, dict):
        yield Complaint("InvalidType", path)
        return
    prefix = f"{path}." if path else ""
    for name in item:
        if name not in schema:
            yield Complaint("NotSupportedField", prefix + name)
    for name, field in schema.items():
        if name in item:
            yield from field.check(account, item[name], prefix + name)
        elif field.required:
            yield Complaint("FieldMissing", prefix + name)


def read_items(ask: Ask, schema: Mapping[str, Field], most: int = MOST) -> list[tuple[str, dict[str, Any]]]:
    """The objects of the body with their request_id; one bad object and all are refused."""
    items = ask.body
    if not isinstance(items, list):
        raise Problem(400, "Request data should be an array", "the body is no array")
    if not items:
        raise Problem(400, "Request data can not be empty", "an empty array")
    if len(items) > most:
        raise Problem(400, f"Limit {most} per request", f"{len(items)} objects in one request")
    named = [(_request_id(item, index), item) for index, item in enumerate(items)]
    refuse(ask, {name: list(check(ask.account, item, schema)) for name, item in named})
    if len({name for name, _ in named}) < len(named):
        ask.violate("the same request_id twice in one request")
    return named


def read_object(ask: Ask, schema: Mapping[str, Field]) -> dict[str, Any]:
    """The one object of the body."""
    if not isinstance(ask.body, dict):
        raise Problem(400, "Request data should be an object", "the body is no object")
    refuse(ask, {"0": list(check(ask.account, ask.body, schema))})
    return ask.body


def refuse(ask: Ask, complaints: Mapping[str, list[Complaint]]) -> None:
    """Raises a 400 where there is any complaint."""
    found = [
        {"request_id": name, "errors": [each.shown() for each in errors]}
        for name, errors in complaints.items()
        if errors
    ]
    mistakes = [each for errors in complaints.values() for each in errors if each.mistake]
    words = ", ".join(f"{each.code} {each.path}".strip() for each in mistakes)
    if found:
        raise Problem(400, "Request validation failed", words or None, **{"validation-errors": found})


def _request_id(item: Any, index: int) -> str:
    given = item.get("request_id") if isinstance(item, dict) else None
    return given if isinstance(given, str) else str(index)

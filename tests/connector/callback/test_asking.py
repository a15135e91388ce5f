"""Whatever a visitor's request says, what is kept of it is short plain text, and its links are web addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.callback.asking import LONGEST_ADDRESS, PHONES, TAGS, read_wanted
from connector.callback.fields import CALLBACK_FIELDS

FIELDS = ("phone", "token", "lang", "consent", "slot", "website", "page", "title", "referrer", "utm", *TAGS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING), st.text())
def test_anything_is_read(values: dict[str, Any], referer: str) -> None:
    wanted = read_wanted(values, page=referer, language="uk")
    texts = [wanted.phone, wanted.token, wanted.consent, wanted.slot, wanted.page, wanted.title, wanted.referrer]
    for text in (*texts, *wanted.utm.values()):
        assert len(text) <= LONGEST_ADDRESS
        assert text.isprintable()
    for address in filter(None, (wanted.page, wanted.referrer)):
        assert address.lower().startswith(("http://", "https://"))
    assert wanted.language in {"uk", "ru", "en"}
    assert wanted.utm.keys() <= set(TAGS)


def test_a_number_has_the_name_that_a_site_s_own_form_gives_it() -> None:
    for name in PHONES:
        assert read_wanted({name: "0671234567"}, page="", language="uk").phone == "0671234567"
    assert read_wanted({"phone": "1", "tel": "2"}, page="", language="uk").phone == "1"


def test_a_site_is_named_in_full() -> None:
    [field] = [each for each in CALLBACK_FIELDS if each.key == "callback_origins"]
    assert field.clean("https://Shop.Example:443/, http://shop.example:8080") == (
        "https://shop.example,http://shop.example:8080"
    )
    for wide in ("*", "https://*.shop.example", "https://shop.*"):
        with pytest.raises(ValueError, match="origins such as"):
            field.clean(wide)


@given(st.sampled_from(CALLBACK_FIELDS), st.text(max_size=60))
def test_a_setting_is_kept_as_it_is_read_again_or_refused_with_a_reason(field: Any, text: str) -> None:
    try:
        kept = field.clean(text)
    except ValueError as error:
        assert str(error).startswith(f"{field.key} should be ")  # noqa: PT017 - most texts are refused
    else:
        assert field.clean(kept) == kept

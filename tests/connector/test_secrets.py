"""Secrets: sealed with one key, opened after a rotation, recognised without being kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.secrets import Cipher, WrongKey, digest, same

OLD, NEW = "the-former-key-of-16", "the-present-key-of-16"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_what_was_sealed_is_opened(values: dict[str, str]) -> None:
    cipher = Cipher([NEW])
    assert cipher.open(cipher.seal(values)) == values


def test_what_is_sealed_shows_nothing_and_never_looks_the_same() -> None:
    sealed = {Cipher([NEW]).seal({"token": "canary"}) for _ in range(5)}
    assert len(sealed) == 5
    assert not any("canary" in text for text in sealed)


def test_a_rotation_keeps_old_secrets_readable_and_seals_with_the_first_key() -> None:
    sealed = Cipher([OLD]).seal("kept")
    rotated = Cipher([NEW, OLD])
    assert rotated.open(sealed) == "kept"
    assert Cipher([NEW]).open(rotated.seal("kept")) == "kept"


def test_a_wrong_key_says_what_to_do() -> None:
    sealed = Cipher([OLD]).seal("kept")
    with pytest.raises(WrongKey, match=r"SECRET_KEY is not the key .* add the former one after a comma"):
        Cipher([NEW]).open(sealed)


def test_an_altered_secret_is_not_opened() -> None:
    cipher = Cipher([NEW])
    sealed = cipher.seal("kept")
    with pytest.raises(WrongKey):
        cipher.open(sealed[:-2] + ("AA" if sealed[-2:] != "AA" else "BB"))


@pytest.mark.parametrize(
    ("given", "expected", "equal"),
    [
        ("abc", "abc", True),
        ("abc", "abd", False),
        ("abc", "abcd", False),
        ("", "", False),  # a connection without a token lets nobody in
        ("", "abc", False),
        ("пароль", "пароль", True),
    ],
)
def test_same(given: str, expected: str, equal: bool) -> None:
    assert same(given, expected) is equal


def test_a_digest_does_not_give_the_secret_away() -> None:
    assert len(digest("canary")) == 64
    assert "canary" not in digest("canary")
    assert digest("canary") == digest("canary") != digest("Canary")

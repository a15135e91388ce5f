"""Secrets: encrypted where kept, compared in constant time, known only by their digest where that is enough."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class WrongKey(Exception):
    """A secret in the database was encrypted with none of the SECRET_KEYs."""


class Cipher:
    """Encrypts with the first of the deployment's keys and decrypts with any (https://cryptography.io/en/latest/fernet/)."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def seal(self, value: Any) -> str:
        """JSON values to text fit for a column."""
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def open(self, sealed: str) -> Any:
        """What was sealed. Raises WrongKey."""
        try:
            return json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            message = "SECRET_KEY is not the key that encrypted this database; add the former one after a comma"
            raise WrongKey(message) from None


def _derive(key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(b"evrotel-connector/fernet:" + key.encode()).digest())


def digest(secret: str) -> str:
    """What is kept of a random secret that only has to be recognised (links, API keys): 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing; an empty expectation equals nothing."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())

"""A strict Bitrix24: refuses what the real one refuses, does what the real one does, remembers what it was sent."""

from tests.emulators.bitrix24.delivery import OPTIONAL_KEYS
from tests.emulators.bitrix24.portal import Bitrix24
from tests.emulators.bitrix24.state import Activity, Call, Entity, Notice, Token, User, Violation

__all__ = ["OPTIONAL_KEYS", "Activity", "Bitrix24", "Call", "Entity", "Notice", "Token", "User", "Violation"]

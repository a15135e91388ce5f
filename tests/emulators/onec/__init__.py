"""A 1C base: its standard OData interface and УНФ's telephony service."""

from tests.emulators.onec.base import OneC
from tests.emulators.onec.faults import Fault

__all__ = ["Fault", "OneC"]

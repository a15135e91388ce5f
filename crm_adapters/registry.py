"""The CRMs there are. A new one is its folder and one line here, or a package of its own that names itself by an entry
point, https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from crm_adapters import amocrm, bitrix24, journal, onec, webhook
from crm_adapters.contract import CRMAdapter, Description

ENTRY_POINTS = "evrotel_connector.crm"
"""The group: `NAME = PACKAGE`, where PACKAGE has `DESCRIPTION` and the module `PACKAGE.adapter` its `Adapter`."""
TAKEN = frozenset({"api", "call", "callback", "connections", "evrotel", "healthz", "metrics", "readyz", "recordings"})
"""First parts of addresses that are not a CRM's."""

_OURS = {
    package.DESCRIPTION.slug: package
    for package in (
        journal,
        bitrix24,
        amocrm,
        webhook,
        onec,
    )
}


class Unfit(Exception):
    """A package that names itself as a CRM can't be used; says which and why."""


def _installed(points: Iterable[EntryPoint]) -> dict[str, tuple[str, Description]]:
    """By slug the packages and descriptions of other packages. Raises Unfit: better no start than lost calls."""
    found: dict[str, tuple[str, Description]] = {}
    keys = {field.key for package in _OURS.values() for field in package.DESCRIPTION.fields}
    for point in points:
        description = _description(point)
        clash = {field.key for field in description.fields} & keys
        if description.slug in {*_OURS, *found, *TAKEN} or not re.fullmatch(r"[a-z0-9-]{1,40}", description.slug):
            raise Unfit(f"{point.value} can't be called {description.slug!r}")
        if clash:
            raise Unfit(f"{point.value} has settings that another CRM has: {', '.join(sorted(clash))}")
        keys |= {field.key for field in description.fields}
        found[description.slug] = (point.module, description)
    return found


def _description(point: EntryPoint) -> Description:
    try:
        description = import_module(point.module).DESCRIPTION
    except Exception as error:
        raise Unfit(f"{point.value}, named by the entry point {point.name}, can't be imported: {error!r}") from error
    if not isinstance(description, Description) or description.slug != point.name:
        raise Unfit(f"{point.value} has no DESCRIPTION whose slug is {point.name}")
    return description


_THEIRS = _installed(entry_points(group=ENTRY_POINTS))
_PACKAGES: Mapping[str, str] = {slug: package.__name__ for slug, package in _OURS.items()} | {
    slug: module for slug, (module, _) in _THEIRS.items()
}
DESCRIPTIONS: dict[str, Description] = {slug: package.DESCRIPTION for slug, package in _OURS.items()} | {
    slug: description for slug, (_, description) in _THEIRS.items()
}


def adapter_class(slug: str) -> type[CRMAdapter]:
    """The adapter of a CRM; its module and client library are imported at the first use. Raises KeyError."""
    loaded: type[CRMAdapter] = import_module(f"{_PACKAGES[slug]}.adapter").Adapter
    return loaded

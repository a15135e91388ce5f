"""The CRMs there are. A new one is its folder and one line here, or a package of its own that names itself by an entry
point, https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from crm_adapters import amocrm, bitrix24, journal, onec, webhook
from crm_adapters.contract import Capability, CRMAdapter, Description, Door
from crm_adapters.errors import Unfit
from crm_adapters.settings import Field

ENTRY_POINTS = "evrotel_connector.crm"
"""The group: `NAME = PACKAGE`, where PACKAGE has `DESCRIPTION` and the module `PACKAGE.adapter` its `Adapter`."""
TAKEN = frozenset(
    """
    api autodial bootstrap call call-back callback calls campaigns connections deliveries events evrotel frame healthz
    language links listen live metrics new-connection password readyz recordings setup sign-in sign-out static
    """.split()  # noqa: SIM905 - a list of so many is no easier to read
)
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


def _installed(points: Iterable[EntryPoint]) -> dict[str, tuple[str, Description]]:
    """By slug the packages and descriptions of other packages, their adapters looked at too. Raises Unfit: better no
    start than lost calls."""
    found: dict[str, tuple[str, Description]] = {}
    keys = {field.key for package in _OURS.values() for field in package.DESCRIPTION.fields}
    for point in points:
        description = _description(point)
        if description.slug in {*_OURS, *found, *TAKEN}:
            raise Unfit(
                f"{point.value} can't be called {description.slug!r}: that is another CRM's or an address of ours"
            )
        if flaw := next(_flaws(description), ""):
            raise Unfit(f"{point.value} has a DESCRIPTION {flaw}")
        given = [field.key for field in description.fields]
        clash = set(given) & keys
        if clash:
            raise Unfit(f"{point.value} has settings that another CRM has: {', '.join(sorted(clash))}")
        if odd := [key for key in given if given.count(key) > 1 or not _fits(r"[a-z][a-z0-9_]*", key)]:
            raise Unfit(
                f"{point.value} has settings that stand twice or are not of a-z, 0-9 and _: {', '.join(map(str, odd))}"
            )
        _fit_adapter(point.module, description)
        keys |= set(given)
        found[description.slug] = (point.module, description)
    return found


def keep_apart(reserved: Collection[str]) -> None:
    """Raises Unfit where a CRM's setting has a key of `reserved`, which the service has for something else."""
    for slug, description in DESCRIPTIONS.items():
        if clash := {field.key for field in description.fields} & set(reserved):
            raise Unfit(
                f"{_PACKAGES[slug]} has settings that the connector itself has: {', '.join(sorted(clash))}; their keys "
                f"should begin with {slug}_"
            )


def _description(point: EntryPoint) -> Description:
    try:
        description = import_module(point.module).DESCRIPTION
    except (Exception, SystemExit) as error:
        raise Unfit(f"{point.value}, named by the entry point {point.name}, can't be imported: {error!r}") from error
    if not isinstance(description, Description) or description.slug != point.name:
        raise Unfit(f"{point.value} has no DESCRIPTION whose slug is {point.name}")
    return description


def _flaws(description: Description) -> Iterator[str]:
    """What is not of the kind that it should be, the first of which hides the rest: else it broke some page later."""
    fields, doors = description.fields, description.doors
    if not _fits(r"[a-z0-9][a-z0-9-]{0,39}", description.slug):
        yield f"whose slug {description.slug!r} is not of a-z, 0-9 and -"
    if not (isinstance(description.title, str) and description.title.strip()):
        yield "without a title"
    if not (isinstance(fields, tuple) and all(isinstance(each, Field) for each in fields)):
        yield "whose fields are no tuple of Field"
    if not (isinstance(description.capabilities, frozenset) and description.capabilities <= set(Capability)):
        yield "whose capabilities are no frozenset of Capability"
    if not (isinstance(doors, Mapping) and all(isinstance(each, Door) for each in doors.values())):
        yield "whose doors are no mapping of names to Door"
    if odd := [str(name) for name, door in doors.items() if not (_fits(r"[a-z0-9][a-z0-9-]*", name) and door.lock)]:
        yield f"whose doors are without a lock or not of a-z, 0-9 and -: {', '.join(odd)}"
    if wrong := [str(field.key) for field in fields if not _is_good_default(field)]:
        yield f"whose defaults are wrong: {', '.join(wrong)}"


def _fits(pattern: str, name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(pattern, name) is not None


def _is_good_default(field: Field) -> bool:
    try:
        return field.clean(field.default) == field.default
    except Exception:  # noqa: BLE001 - whatever their check raises
        return False


def _fit_adapter(package: str, description: Description) -> type[CRMAdapter]:
    """The package's adapter. Raises Unfit where it is none, such as by a method that is missing."""
    name = f"{package}.adapter"
    try:
        adapter = import_module(name).Adapter
    except (Exception, SystemExit) as error:
        raise Unfit(f"{name}.Adapter can't be imported: {error!r}") from error
    if not (isinstance(adapter, type) and issubclass(adapter, CRMAdapter)):
        raise Unfit(f"{name}.Adapter is no subclass of CRMAdapter")
    if inspect.isabstract(adapter):
        raise Unfit(f"{name}.Adapter lacks {', '.join(sorted(adapter.__abstractmethods__))}")
    if getattr(adapter, "description", None) is not description:
        raise Unfit(f"{name}.Adapter has another description than {package}.DESCRIPTION")
    return adapter


_THEIRS = _installed(entry_points(group=ENTRY_POINTS))
_PACKAGES: dict[str, str] = {slug: package.__name__ for slug, package in _OURS.items()} | {
    slug: module for slug, (module, _) in _THEIRS.items()
}
DESCRIPTIONS: dict[str, Description] = {slug: package.DESCRIPTION for slug, package in _OURS.items()} | {
    slug: description for slug, (_, description) in _THEIRS.items()
}


def adapter_class(slug: str) -> type[CRMAdapter]:
    """The adapter of a CRM; of those here module and client library are imported at the first use. Raises KeyError."""
    return _fit_adapter(_PACKAGES[slug], DESCRIPTIONS[slug])

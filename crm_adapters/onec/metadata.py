"""What a base publishes by OData: its sets and their properties, read from `$metadata`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

ROWS = "_RowType"
_PROPERTIES = {"Property", "NavigationProperty"}


class NotMetadata(Exception):
    """The text is not an EDMX document."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """By set (`Document_Событие`) the names of its properties; the rows of a table are `Document_Событие_Участники`."""

    sets: Mapping[str, frozenset[str]]

    def has(self, name: str) -> bool:
        return name in self.sets

    def lacks(self, name: str, properties: tuple[str, ...]) -> list[str]:
        """Those of the properties that the set does not have."""
        return [each for each in properties if each not in self.sets.get(name, frozenset())]


def read_schema(text: bytes) -> Schema:
    """Reads `$metadata` (EDMX of OData 3). Raises NotMetadata."""
    if b"<!DOCTYPE" in text[:4096].upper():
        raise NotMetadata("a document type, which metadata has none of")
    try:
        root = ET.fromstring(text)  # noqa: S314 - no document type, so no entities
    except ET.ParseError as error:
        raise NotMetadata(str(error)) from None
    if _local(root.tag) != "Edmx":
        raise NotMetadata(f"<{_local(root.tag)}> instead of <Edmx>")
    types: dict[str, frozenset[str]] = {}
    sets: dict[str, str] = {}
    for element in root.iter():
        name = element.get("Name", "")
        match _local(element.tag):
            case "EntityType" | "ComplexType":
                types[name] = frozenset(child.get("Name", "") for child in element if _local(child.tag) in _PROPERTIES)
            case "EntitySet":
                sets[name] = element.get("EntityType", name).rpartition(".")[2]
    rows = {name.removesuffix(ROWS): properties for name, properties in types.items() if name.endswith(ROWS)}
    return Schema(sets=rows | {name: types.get(kind, frozenset()) for name, kind in sets.items()})


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]

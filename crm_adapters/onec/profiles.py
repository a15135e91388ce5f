"""Which documents, catalogs and properties the configurations of 1C have. Tables.

Names are those of the configurations: ТелефонныйЗвонок of БСП 3.1 (1c-syntax/ssl_3_1), Событие of УНФ 3.0
(AlexanderYekat/unf).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crm_adapters.onec.fields import BSP, LOOKUP, UNF
from crm_adapters.onec.metadata import Schema

CONTACTS = "КонтактнаяИнформация"
PHONE, PHONE_WITHOUT_CODES, SHOWN = "НомерТелефона", "НомерТелефонаБезКодов", "Представление"
COMMENT = "Комментарий"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One family of configurations. `properties` are what we write into the document, `contacts` the catalogs whose
    elements may be its contact, in the order of looking; `users` the catalog of those responsible."""

    name: str
    document: str
    properties: tuple[str, ...]
    users: str
    contacts: tuple[str, ...]
    text: str = ""
    """The document's property that people read, with the link to the recording."""
    number: str = ""
    """The document's property that has the client's number, where it can be looked for by it."""
    table: str = ""
    table_properties: tuple[str, ...] = ()
    states: str = ""
    """The catalog of the document's states."""


PROFILES: Mapping[str, Profile] = {
    BSP: Profile(
        name=BSP,
        document="Document_ТелефонныйЗвонок",
        properties=(
            "Ref_Key",
            "Date",
            "Posted",
            "Входящий",
            "АбонентКакСвязаться",
            "АбонентПредставление",
            "АбонентКонтакт",
            "АбонентКонтакт_Type",
            "Тема",
            "Описание",
            COMMENT,
            "Ответственный_Key",
            "Автор_Key",
            "Важность",
        ),
        users="Catalog_Пользователи",
        contacts=(
            "Catalog_КонтактныеЛицаПартнеров",
            "Catalog_Партнеры",
            "Catalog_ФизическиеЛица",
            "Catalog_СтроковыеКонтактыВзаимодействий",
        ),
        text="Описание",
        number="АбонентКакСвязаться",
    ),
    UNF: Profile(
        name=UNF,
        document="Document_Событие",
        properties=(
            "Ref_Key",
            "Date",
            "Posted",
            "ТипСобытия",
            "ВходящееИсходящееСобытие",
            "Состояние_Key",
            "НачалоСобытия",
            "ОкончаниеСобытия",
            "Ответственный_Key",
            "Тема",
            "Тема_Type",
            "Содержание",
            "Участники",
        ),
        users="Catalog_Сотрудники",
        contacts=("Catalog_Контрагенты", "Catalog_КонтактныеЛица", "Catalog_Лиды", "Catalog_ФизическиеЛица"),
        text="Содержание",
        table="Document_Событие_Участники",
        table_properties=("LineNumber", "Контакт", "Контакт_Type", "КакСвязаться"),
        states="Catalog_СостоянияСобытий",
    ),
    LOOKUP: Profile(
        name=LOOKUP,
        document="",
        properties=(),
        users="Catalog_Пользователи",
        contacts=("Catalog_Контрагенты", "Catalog_Партнеры", "Catalog_КонтактныеЛица", "Catalog_ФизическиеЛица"),
    ),
}


def recognised(schema: Schema) -> Profile | None:
    """The profile of a base by what it publishes; None where there is nothing that we know."""
    for profile in (PROFILES[BSP], PROFILES[UNF]):
        if schema.has(profile.document):
            return profile
    return PROFILES[LOOKUP] if contact_sets(schema, PROFILES[LOOKUP]) else None


def contact_sets(schema: Schema, profile: Profile) -> list[str]:
    """The catalogs with telephone numbers that the base publishes."""
    return [name for name in profile.contacts if schema.has(name) and schema.has(f"{name}_{CONTACTS}")]

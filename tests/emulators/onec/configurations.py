"""What configurations publish: names and types of their sets, as БСП 3.1 and УНФ 3.0 have them."""

from __future__ import annotations

from collections.abc import Mapping

Properties = Mapping[str, str]
"""Names and types; `ref:Catalog_X` is a reference, `any` a composite one, `rows:NAME` a table, `enum:A|B` names."""

_OBJECT = {"Ref_Key": "guid", "DataVersion": "text", "DeletionMark": "bool"}
_CATALOG = {**_OBJECT, "Description": "text", "Code": "text", "PredefinedDataName": "text"}
_CONTACTS = {
    "Ref_Key": "guid",
    "LineNumber": "number",
    "Тип": "text",
    "Представление": "text",
    "НомерТелефона": "text:20",
    "НомерТелефонаБезКодов": "text:20",
}

BSP: Mapping[str, Properties] = {
    "Document_ТелефонныйЗвонок": {
        **_OBJECT,
        "Number": "text:11",
        "Date": "moment",
        "Posted": "bool",
        "Входящий": "bool",
        "АбонентКакСвязаться": "text:100",
        "АбонентПредставление": "text:1024",
        "АбонентКонтакт": "any:Catalog_Партнеры|Catalog_КонтактныеЛицаПартнеров",
        "АбонентКонтакт_Type": "type",
        "Тема": "text:1024",
        "Описание": "text",
        "Комментарий": "text",
        "Ответственный_Key": "ref:Catalog_Пользователи",
        "Автор_Key": "ref:Catalog_Пользователи",
        "Важность": "enum:Низкая|Обычная|Высокая",
    },
    "Catalog_Пользователи": _CATALOG,
    "Catalog_Партнеры": _CATALOG,
    "Catalog_Партнеры_КонтактнаяИнформация": _CONTACTS,
    "Catalog_КонтактныеЛицаПартнеров": _CATALOG,
    "Catalog_КонтактныеЛицаПартнеров_КонтактнаяИнформация": _CONTACTS,
}

UNF: Mapping[str, Properties] = {
    "Document_Событие": {
        **_OBJECT,
        "Number": "text:11",
        "Date": "moment",
        "Posted": "bool",
        "ТипСобытия": "enum:ТелефонныйЗвонок|ЛичнаяВстреча|Прочее",
        "ВходящееИсходящееСобытие": "enum:Входящее|Исходящее",
        "УдалитьВходящееИсходящееСобытие": "text",
        "Состояние_Key": "ref:Catalog_СостоянияСобытий",
        "НачалоСобытия": "moment",
        "ОкончаниеСобытия": "moment",
        "Ответственный_Key": "ref:Catalog_Сотрудники",
        "Тема": "any:Catalog_ТемыСобытий",
        "Тема_Type": "type",
        "Содержание": "text",
        "Участники": "rows:Document_Событие_Участники",
    },
    "Document_Событие_Участники": {
        "Ref_Key": "guid",
        "LineNumber": "number",
        "Контакт": "any:Catalog_Контрагенты|Catalog_КонтактныеЛица",
        "Контакт_Type": "type",
        "КакСвязаться": "text:500",
    },
    "Catalog_Сотрудники": _CATALOG,
    "Catalog_СостоянияСобытий": _CATALOG,
    "Catalog_Контрагенты": _CATALOG,
    "Catalog_Контрагенты_КонтактнаяИнформация": _CONTACTS,
    "Catalog_КонтактныеЛица": _CATALOG,
    "Catalog_КонтактныеЛица_КонтактнаяИнформация": _CONTACTS,
}

ACCOUNTING: Mapping[str, Properties] = {
    "Catalog_Пользователи": _CATALOG,
    "Catalog_Контрагенты": _CATALOG,
    "Catalog_Контрагенты_КонтактнаяИнформация": _CONTACTS,
}

MUST = {
    "Document_ТелефонныйЗвонок": ("Date", "АбонентКакСвязаться", "АбонентПредставление", "Тема"),
    "Document_Событие": ("Date", "ТипСобытия", "ВходящееИсходящееСобытие", "Состояние_Key"),
}
"""What the forms demand. OData does not, and the documents are then half empty: here that is a complaint."""


def metadata(sets: Mapping[str, Properties]) -> bytes:
    """`$metadata`, EDMX of OData 3."""
    kinds = {"guid": "Edm.Guid", "bool": "Edm.Boolean", "moment": "Edm.DateTime", "number": "Edm.Int64"}
    types, entries = [], []
    for name, properties in sets.items():
        lines = []
        for each, kind in properties.items():
            edm = kinds.get(kind, "Edm.String")
            if kind.startswith("rows:"):
                edm = f"Collection(StandardODATA.{kind.partition(':')[2]}_RowType)"
            elif kind.startswith("ref:"):
                edm = "Edm.Guid"
            lines.append(f'<Property Name="{each}" Type="{edm}" Nullable="true"/>')
        types.append(f'<EntityType Name="{name}"><Key><PropertyRef Name="Ref_Key"/></Key>{"".join(lines)}</EntityType>')
        entries.append(f'<EntitySet Name="{name}" EntityType="StandardODATA.{name}"/>')
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<edmx:Edmx xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" Version="1.0">'
        '<edmx:DataServices><Schema xmlns="http://schemas.microsoft.com/ado/2009/11/edm" Namespace="StandardODATA">'
        f"{''.join(types)}"
        f'<EntityContainer Name="EnterpriseV8">{"".join(entries)}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    ).encode()

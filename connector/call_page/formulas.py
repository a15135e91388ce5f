"""Links to the call page for spreadsheets and documents: texts to copy, without any I/O.

Excel names its functions by the language of its own texts: Russian Excel translates them, Ukrainian Excel keeps the
English names and, like the Russian one, separates arguments by semicolons (Microsoft's help pages in each language).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from flask_babel import lazy_gettext

CELL = re.compile(r"\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6}")
FIRST_CELL = "A2"
_LOOKING_LATIN = str.maketrans("АВСЕНІКМОРТХ", "ABCEHIKMOPTX")


@dataclass(frozen=True, kw_only=True)
class Spreadsheet:
    """A program, by how it writes functions and separates their arguments."""

    slug: str
    title: object
    hyperlink: str
    substitute: str
    separator: str


SPREADSHEETS = (
    Spreadsheet(
        slug="excel-uk",
        title=lazy_gettext("Excel in Ukrainian, LibreOffice"),
        hyperlink="HYPERLINK",
        substitute="SUBSTITUTE",
        separator=";",
    ),
    Spreadsheet(
        slug="excel-ru",
        title=lazy_gettext("Excel in Russian"),
        hyperlink="ГИПЕРССЫЛКА",
        substitute="ПОДСТАВИТЬ",
        separator=";",
    ),
    Spreadsheet(
        slug="excel-en",
        title=lazy_gettext("Excel in English"),
        hyperlink="HYPERLINK",
        substitute="SUBSTITUTE",
        separator=",",
    ),
    Spreadsheet(
        slug="sheets-semicolon",
        title=lazy_gettext("Google Sheets, Ukrainian or Russian table"),
        hyperlink="HYPERLINK",
        substitute="SUBSTITUTE",
        separator=";",
    ),
    Spreadsheet(
        slug="sheets-comma",
        title=lazy_gettext("Google Sheets, English table"),
        hyperlink="HYPERLINK",
        substitute="SUBSTITUTE",
        separator=",",
    ),
)


def link_to(public_url: str, connection: str, number: str = "") -> str:
    """The link that opens the call page; without a number as far as the number's place."""
    return f"{public_url}/call/{connection}?n={quote(number, safe='')}"


def formula(sheet: Spreadsheet, link: str, cell: str) -> str:
    """The formula that makes a link of the number in a cell. Blanks and plus signs would not survive in an address; 00
    says the same as a plus."""
    bare, separator = cell, sheet.separator
    for sign, instead in ((" ", ""), ("+", "00")):
        bare = f'{sheet.substitute}({bare}{separator}"{sign}"{separator}"{instead}")'
    return f'={sheet.hyperlink}("{link}"&{bare}{separator}"☎ "&{cell})'


def cell_or_first(given: str) -> str:
    """A cell's name as a formula has it, the first one where the text is none. Cyrillic letters that look the same are
    meant as Latin ones."""
    cell = given.strip().upper().translate(_LOOKING_LATIN)
    return cell if CELL.fullmatch(cell) else FIRST_CELL


def word_field(link: str) -> str:
    """A mail merge field in a link, as Word's field codes (Alt+F9) have it; the column is called Phone."""
    return f'{{ HYPERLINK "{link}{{ MERGEFIELD Phone }}" }}'

"""Lists of numbers as people have them."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.autodial.answers import Outcome, is_tried_again, outcome_of
from connector.autodial.numbers import FOREIGN, NO_NUMBER, PREMIUM, entries_of_file, read_numbers
from connector.evrotel.client import DialAnswer, Verdict

TWO = ("+380671234567", "+380501112233")


def test_each_number_once_and_what_is_wrong_by_entry() -> None:
    found = read_numbers(
        ["067 123-45-67", "380501112233", "+380 67 123 45 67", "112", "Olena", "+12015550123", "0900123456", ""], "UA"
    )
    assert found.numbers == TWO
    assert found.duplicates == ("+380671234567",)
    assert [(each.index, each.error) for each in found.rejected] == [
        (3, NO_NUMBER), (4, NO_NUMBER), (5, FOREIGN), (6, PREMIUM), (7, NO_NUMBER),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"0671234567\n0501112233\n",
        b"\xef\xbb\xbfphone\r\n0671234567\r\n\r\n0501112233\r\n",
        b"name;phone\nOlena;067 123-45-67\nIvan;+380501112233\n",
        b"Olena\t0671234567\nIvan\t0501112233",
        b'phone,name\n"0671234567","Olena, dear"\n0501112233,Ivan\n',
        "Ім'я;Телефон\nОлена;0671234567\nІван;0501112233\n".encode("cp1251"),
        "Ім'я;Телефон\nОлена;0671234567\nІван;0501112233\n".encode("utf-16"),
        b"12345;2026-11-27 10:00;0671234567\n12346;2026-11-28 11:30;0501112233\n",
        b"0671234567, 0501112233\n",
        b"380671234567.0\n380501112233.0\n",
    ],
)
def test_tables_of_every_kind(content: bytes) -> None:
    assert read_numbers(texts_of_file(content), "UA").numbers == TWO


def test_the_cell_to_call_is_read_in_the_connection_s_country() -> None:
    row = b"0671234567;+380501112233\n0671234568;+380501112234\n"
    assert texts_of_file(row, "UA") == ["0671234567", "0671234568"]
    assert texts_of_file(row, "PL") == ["+380501112233", "+380501112234"]


def texts_of_file(content: bytes, region: str = "UA") -> list[str]:
    return [text for _, text in entries_of_file(content, region)]


def sheet(*rows: tuple[str, ...], last: str = "") -> bytes:
    """A spreadsheet as small as it can be; what begins with `=` is a number. `last`: one more row as it is written."""
    cells = "".join(
        "<row>" + "".join(
            f"<c><v>{cell[1:]}</v></c>" if cell.startswith("=")
            else f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row
        ) + "</row>"
        for row in rows
    )  # fmt: skip
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    to = f'<Relationships xmlns="{package}/relationships"><Relationship Id="a" Type="{relation}/'
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'{to}officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}">'
        '<sheets><sheet name="A" sheetId="1" r:id="a"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{to}worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}{last}</sheetData></worksheet>',
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return target.getvalue()


def test_a_spreadsheet_with_numbers_as_numbers_and_as_texts() -> None:
    content = sheet(("Name", "Phone"), ("Olena", "=380671234567"), ("Ivan", "050 111-22-33"))
    assert read_numbers(texts_of_file(content), "UA").numbers == TWO


@pytest.mark.parametrize("content", [b"PK\x03\x04 no sheet", b"\xd0\xcf\x11\xe0 neither"])
def test_a_broken_spreadsheet_says_so(content: bytes) -> None:
    with pytest.raises(ValueError, match="spreadsheet"):
        texts_of_file(content)


def test_a_spreadsheet_with_a_cell_at_the_worlds_end_harms_nobody() -> None:
    """Room for all cells up to it would be 400 GB."""
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(ValueError, match="save it as XLSX or CSV"):
        texts_of_file(sheet(("Phone",), ("0671234567",), last=far))


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_file_is_a_list_or_says_why_not(content: bytes) -> None:
    try:
        texts = texts_of_file(content)
    except ValueError:
        return
    found = read_numbers(texts, "UA")
    assert len(found.numbers) + len(found.duplicates) + len(found.rejected) == len(texts)


WORDS = {
    "ANSWER": Outcome.ANSWERED,
    "good": Outcome.ANSWERED,
    "BUSY": Outcome.BUSY,
    "NOANSWER": Outcome.NO_ANSWER,
    "NO ANSWER": Outcome.NO_ANSWER,
    "CONGESTION": Outcome.CONGESTION,
    "none": Outcome.CONGESTION,
    "BAD": Outcome.FAILED,
    "": Outcome.UNCLEAR,
    "<html>": Outcome.UNCLEAR,
}


@pytest.mark.parametrize(("text", "outcome"), WORDS.items())
def test_what_evrotel_says_of_a_call(text: str, outcome: Outcome) -> None:
    assert outcome_of(DialAnswer(verdict=Verdict.ACCEPTED, text=text)) is outcome


def test_only_who_was_not_reached_is_called_again() -> None:
    for outcome in Outcome:
        again = is_tried_again(outcome, 1, 3, list(Outcome))
        assert again is (outcome in {Outcome.BUSY, Outcome.NO_ANSWER, Outcome.CONGESTION, Outcome.FAILED})
    assert not is_tried_again(Outcome.BUSY, 3, 3, ["busy"])
    assert not is_tried_again(Outcome.BUSY, 1, 3, ["no_answer"])
    for verdict in (Verdict.TOO_SOON, Verdict.UNREACHABLE):
        assert outcome_of(DialAnswer(verdict=verdict)) is Outcome.NOT_MADE

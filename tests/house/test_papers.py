"""The README says what is so: its commands, settings, links and files exist, and none is missing from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from connector.cli import cli
from connector.connections.keys import ALL_FIELDS
from connector.settings import Settings
from crm_adapters.registry import _OURS, DESCRIPTIONS
from tests.house import sources

PAPERS = [path.relative_to(sources.ROOT) for path in (*sources.ROOT.glob("*.md"), *sources.ROOT.glob("docs/*.md"))]
PAPERS.append(Path("crm_adapters/README.md"))
README = sources.text("README.md")
INTERNAL = {"HOST", "SECRET_KEYS", "INSTANCE", "ENVIRONMENT", "DISK_IS_KEPT"}
"""Fields of Settings that are no variables by their names."""


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and its words after `connector`."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from _commands(command, (*path, name))


COMMANDS = dict(_commands(cli))


def _quoted(paper: str) -> Iterator[list[str]]:
    """The words after `connector` in every command that is quoted; `a / b` stands for both."""
    for quoted in re.findall(
        r"`(?:\.venv/bin/)?connector ([^`]+)`|^ {4}(?:\.venv/bin/)?connector (.+)$", paper, re.MULTILINE
    ):
        text = next(filter(None, quoted))
        first, *others = (part.split() for part in text.split(" / "))
        yield first
        yield from ([first[0], *other] for other in others)


def _of(words: list[str]) -> tuple[str, ...] | None:
    """The command that these words begin with."""
    return next((path for path in COMMANDS if tuple(words[: len(path)]) == path), None)


@pytest.mark.parametrize("paper", PAPERS, ids=str)
def test_every_quoted_command_exists_with_its_options(paper: Path) -> None:
    wrong = []
    for words in _quoted(sources.text(paper)):
        path = _of(words)
        options = {word.strip("[]").partition("=")[0] for word in words if word.strip("[]").startswith("--")}
        if path is None or options - _options(COMMANDS[path]):
            is_group = any(known[: len(words)] == tuple(words) for known in COMMANDS)
            if path is not None or not is_group:
                wrong.append(" ".join(words))
    assert wrong == []


def test_every_command_is_in_the_readme() -> None:
    told = {_of(words) for words in _quoted(_section("Commands"))}
    assert {" ".join(path) for path in set(COMMANDS) - told} == set()


def test_every_setting_is_in_the_readme_and_no_other() -> None:
    told = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(_first_cells("Settings"))))
    exist = {field.name.upper() for field in fields(Settings)} - INTERNAL | {"SECRET_KEY", "SETUP_TOKEN"}
    assert told == exist


def test_every_key_of_a_connection_is_in_the_readme_and_no_other() -> None:
    told = set(re.findall(r"`([a-z][a-z0-9_]+)`", "".join(_first_cells("A connection's settings"))))
    elsewhere = {field.key for slug in set(DESCRIPTIONS) - set(_OURS) for field in DESCRIPTIONS[slug].fields}
    assert told == {"crm", *ALL_FIELDS} - elsewhere


@pytest.mark.parametrize("paper", PAPERS, ids=str)
def test_links_between_the_papers_lead_somewhere(paper: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", sources.text(paper))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not _leads(paper, link)] == []


def test_every_path_of_the_house_exists() -> None:
    listing = _section("The house").partition("```")[2].partition("```")[0]
    rooms = re.findall(r"^([\w./-]+)(?: {2,}|$)", listing, re.MULTILINE)
    assert len(rooms) > 5
    assert [room for room in rooms if not (sources.ROOT / room).exists()] == []


def test_there_are_at_most_ten_reasons() -> None:
    assert 0 < len(re.findall(r"^- \*\*", _section("Why it is so"), re.MULTILINE)) <= 10


def test_the_changelog_has_this_version() -> None:
    changelog = sources.text("CHANGELOG.md")
    version = re.search(r'^version = "([^"]+)"', sources.text("pyproject.toml"), re.MULTILINE)
    assert version is not None
    assert re.search(rf"^## \[{re.escape(version.group(1))}\]", changelog, re.MULTILINE)
    headings = set(re.findall(r"^### (.+)$", changelog, re.MULTILINE))
    assert headings <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def _options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }


def _section(title: str) -> str:
    """A section of the README with its subsections."""
    found = re.search(rf"^(#+) {re.escape(title)}$", README, re.MULTILINE)
    assert found, f"the README has no section {title}"
    level = len(found.group(1))
    rest = README[found.end() :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def _first_cells(title: str) -> list[str]:
    body = _section(title).partition("\n###")[0]
    return re.findall(r"^\| ([^|]+) \|", body, re.MULTILINE)


def _leads(paper: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (sources.ROOT / paper).parent / path if path else sources.ROOT / paper
    if not target.exists():
        return False
    if not anchor or target.suffix != ".md":
        return True
    titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

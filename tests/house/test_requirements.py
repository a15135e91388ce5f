"""What is installed is what was tried: exact versions, hashes, and no address of any index."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from tests.house import sources

FILES = ("requirements.txt", "requirements-test.txt", "requirements-dev.txt")


def _entries(name: str) -> list[str]:
    """The file's logical lines without comments."""
    joined = re.sub(r"\\\n\s*", " ", sources.text(name))
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_exact_and_hashed(name: str) -> None:
    entries = _entries(name)
    assert len(entries) > 20
    assert [entry.split()[0] for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert [
        entry.split()[0] for entry in entries if not re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+]+( ;[^-]*)? ", entry)
    ] == []


@pytest.mark.parametrize("name", FILES)
def test_no_requirement_names_a_place(name: str) -> None:
    assert (
        re.findall(
            r"^.*(?:://|--index-url|--find-links|--trusted-host| @ |^-e|^\.?/).*$", sources.text(name), re.MULTILINE
        )
        == []
    )


@pytest.mark.parametrize("name", FILES[1:])
def test_the_files_agree(name: str) -> None:
    """One environment takes all of them: what running needs has the same version everywhere."""
    running, more = (
        {(requirement.name, str(requirement.marker)): str(requirement.specifier) for requirement in _parsed(file)}
        for file in (FILES[0], name)
    )
    assert {key: version for key, version in running.items() if more.get(key, version) != version} == {}


def _parsed(name: str) -> list[Requirement]:
    return [Requirement(entry.partition(" --hash")[0]) for entry in _entries(name)]

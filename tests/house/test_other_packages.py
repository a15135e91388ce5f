"""Adapters from other packages: the example of the documentation, installed and run; what is unfit stops the start."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from connector.cli import cli
from crm_adapters.contract import CRMAdapter, Description, Door, Priority, Save, Telling
from crm_adapters.errors import Unfit
from crm_adapters.registry import _PACKAGES, DESCRIPTIONS, ENTRY_POINTS, _installed
from crm_adapters.settings import Field
from tests.emulators.evrotel import Transmitter
from tests.emulators.example import KEY, ExampleCRM
from tests.running import ROOT, TOKEN, Installation, wait_for


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the example as pip installs it, from a copy: building leaves files behind."""
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(ROOT / "docs" / "example-crm", source)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True, timeout=100)
    return target


@pytest.fixture
def crm() -> Iterator[ExampleCRM]:
    with ExampleCRM() as crm:
        yield crm


@pytest.mark.processes
def test_the_example_is_installed_and_logs_a_call(tmp_path: Path, installed: Path, crm: ExampleCRM) -> None:
    there = Installation(tmp_path, f"sqlite:///{tmp_path}/connector.db", PYTHONPATH=f"{ROOT}:{installed}")
    settings = {"evrotel_token": TOKEN, "example_url": crm.url, "example_key": KEY}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    try:
        there.command("db", "upgrade")
        there.command("connection", "add", "acme", "--crm", "example", *pairs)
        assert "ok  example" in there.command("connection", "check", "acme", check=False).stdout
        there.start("run", "run", "--port", str(there.port))
        there.wait_until_up()
        evrotel = Transmitter(f"{there.url}/evrotel/acme/events", TOKEN)
        callid = evrotel.start("0671234567", "101").callid
        evrotel.end(callid, disposition="ANSWERED", billsec="7")
        wait_for(lambda: crm.calls)
    finally:
        there.close()
    assert crm.calls[f"/calls/{callid}"]["phone"] == "+380671234567"
    assert crm.calls[f"/calls/{callid}"]["seconds"] == 7


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("other", "no_such_package", "can't be imported"),
        ("other", "json", "can't be imported"),
        ("journal", "crm_adapters.journal", "can't be called"),
        ("other", "crm_adapters.journal", "no DESCRIPTION whose slug is other"),
    ],
)
def test_what_is_no_adapter_stops_the_start_with_its_name(name: str, value: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        _installed([EntryPoint(name=name, value=value, group=ENTRY_POINTS)])


POINT = EntryPoint(name="theirs", value="theirs", group=ENTRY_POINTS)
THEIRS = Description(slug="theirs", title="Theirs")


class Whole(CRMAdapter):
    description = THEIRS

    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        """Nobody."""


class Another(Whole):
    description = Description(slug="theirs", title="Another")


class Half(CRMAdapter):
    description = THEIRS


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        (None, "theirs.adapter.Adapter can't be imported"),
        (object, "no subclass of CRMAdapter"),
        (Half, "lacks tell"),
        (Another, "another description than theirs.DESCRIPTION"),
    ],
)
def test_an_adapter_that_could_not_be_used_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, adapter: type | None, why: str
) -> None:
    bring(monkeypatch, THEIRS, Whole)
    assert _installed([POINT]) == {"theirs": ("theirs", THEIRS)}
    bring(monkeypatch, THEIRS, adapter)
    with pytest.raises(Unfit, match=why):
        _installed([POINT])


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("onec_url", "another CRM has: onec_url"),
        ("language", "the connector itself has: language; their keys should begin with theirs_"),
        ("evrotel_token", "the connector itself has: evrotel_token"),
        ("callback_origins", "the connector itself has: callback_origins"),
        ("database_url", "the connector itself has: database_url"),
        ("crm", "the connector itself has: crm"),
        ("theirs-url", "not of a-z, 0-9 and _: theirs-url"),
        (None, "not of a-z, 0-9 and _: None"),
    ],
)
def test_a_setting_that_is_somebody_elses_or_could_not_be_given_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, key: Any, why: str
) -> None:
    description = Description(slug="theirs", title="Theirs", fields=(Field(key=key, label="Theirs"),))
    bring(monkeypatch, description, type("Adapter", (Whole,), {"description": description}))
    with pytest.raises(Unfit, match=why):
        take_up(monkeypatch)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"slug": "their s"}, "slug 'their s' is not of a-z, 0-9 and -"),
        ({"slug": "setup"}, "can't be called 'setup'"),
        ({"title": ""}, "without a title"),
        ({"fields": ["theirs_url"]}, "fields are no tuple of Field"),
        ({"fields": (Field(key="theirs_mode", label="Mode", choices=("a", "b"), default="c"),)}, "wrong: theirs_mode"),
        ({"capabilities": {"finish", "teleport"}}, "capabilities are no frozenset of Capability"),
        ({"doors": ["hook"]}, "doors are no mapping of names to Door"),
        ({"doors": {"hook": Door(methods=("POST",), lock="")}}, "without a lock or not of a-z, 0-9 and -: hook"),
    ],
)
def test_a_description_that_would_fail_later_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], why: str
) -> None:
    description = replace(THEIRS, **changes)
    bring(monkeypatch, description, Whole)
    with pytest.raises(Unfit, match=why):
        _installed([EntryPoint(name=description.slug, value="theirs", group=ENTRY_POINTS)])


def test_a_command_says_in_a_line_what_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> ModuleType:
        raise Unfit(f"{name} is none")

    monkeypatch.setattr("connector.cli.import_module", import_module)
    done = CliRunner().invoke(cli, ["connection", "list"])
    assert (done.exit_code, done.output) == (1, "Error: connector.commands.connections is none\n")


def bring(monkeypatch: pytest.MonkeyPatch, description: Description, adapter: type | None) -> None:
    """Has the package `theirs` be there, as if installed."""
    package, module = ModuleType("theirs"), ModuleType("theirs.adapter")
    vars(package)["DESCRIPTION"] = description
    if adapter is not None:
        vars(module)["Adapter"] = adapter
    monkeypatch.setitem(sys.modules, "theirs", package)
    monkeypatch.setitem(sys.modules, "theirs.adapter", module)


def take_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a start does with it."""
    for slug, (package, description) in _installed([POINT]).items():
        monkeypatch.setitem(DESCRIPTIONS, slug, description)
        monkeypatch.setitem(_PACKAGES, slug, package)
    runpy.run_path(str(ROOT / "connector" / "connections" / "keys.py"))

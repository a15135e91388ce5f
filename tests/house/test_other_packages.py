"""Adapters from other packages: the example of the documentation, installed and run; what is unfit stops the start."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from crm_adapters.registry import ENTRY_POINTS, Unfit, _installed
from tests.emulators.evrotel import Transmitter
from tests.emulators.http import Loopback, Request, Response
from tests.running import ROOT, TOKEN, Installation, wait_for

KEY = "example-key-1234"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the example as pip installs it, from a copy: building leaves files behind."""
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(ROOT / "docs" / "example-crm", source)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True, timeout=100)
    return target


@pytest.fixture
def calls() -> dict[str, Any]:
    return {}


@pytest.fixture
def crm(calls: dict[str, Any]) -> Iterator[Loopback]:
    """The example's CRM: keeps calls by their ID."""

    def answer(request: Request) -> Response:
        if str(request.headers.get("Authorization", "")) != f"Bearer {KEY}":
            return Response(b"", 401)
        if request.verb == "PUT":
            calls[request.path] = json.loads(request.body)
        return Response(b"{}")

    server = Loopback(answer)
    server.listen()
    yield server
    server.close()


@pytest.mark.processes
def test_the_example_is_installed_and_logs_a_call(
    tmp_path: Path, installed: Path, crm: Loopback, calls: dict[str, Any]
) -> None:
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
        wait_for(lambda: calls)
    finally:
        there.close()
    assert calls[f"/calls/{callid}"]["phone"] == "+380671234567"
    assert calls[f"/calls/{callid}"]["seconds"] == 7


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

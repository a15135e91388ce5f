"""The arrows between the rooms, as pyproject.toml draws them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from crm_adapters.registry import _OURS, DESCRIPTIONS, adapter_class
from tests.house import sources


def test_the_arrows_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=sources.ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_crm_is_under_the_rule_of_independence() -> None:
    """A new CRM is named in the contract too, or nothing would keep it from importing another."""
    contracts = tomllib.loads(sources.text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    independent = {name for contract in contracts if contract["type"] == "independence" for name in contract["modules"]}
    assert independent == {f"crm_adapters.{slug}" for slug in _OURS}


def test_every_adapter_on_disk_is_registered() -> None:
    packages = {path.parent.name for path in (sources.ROOT / "crm_adapters").glob("*/adapter.py")}
    assert packages == set(_OURS)
    assert [slug for slug in DESCRIPTIONS if adapter_class(slug).description is not DESCRIPTIONS[slug]] == []

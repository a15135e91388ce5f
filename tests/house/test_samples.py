"""What the documentation shows works as it stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from crm_adapters.webhook.fields import TYPES
from tests.emulators.webhook.crm import SECRET
from tests.running import ROOT, free_port, wait_for
from tests.served import TOKEN, ServedHere

PAGE = (ROOT / "docs" / "own-crm.md").read_text()


def sample(language: str, having: str = "") -> str:
    """The first block of the page in this language."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return next(block for block in blocks if having in block)


def test_each_event_has_its_row_and_bodies_are_json() -> None:
    table = PAGE.partition("## Events")[2].partition("\n\n`call.started`")[0]
    told = set(re.findall(r"`((?:call|recording|callback|autodial)\.[a-z.]+)`", table))
    assert told == set(TYPES)
    for body in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        assert set(json.loads(body)) == {"type", "timestamp", "data"}


@pytest.mark.processes
def test_the_receiver_takes_a_call_and_gives_its_id(tmp_path: Path) -> None:
    (tmp_path / "receiver.py").write_text(sample("python", "def take"))
    port = free_port()
    flask = [sys.executable, "-m", "flask", "--app", "receiver", "run", "--port", str(port)]
    with (tmp_path / "said.txt").open("wb") as said:
        receiver = subprocess.Popen(flask, cwd=tmp_path, env={**os.environ, "SECRET": SECRET}, stdout=said, stderr=said)
    try:
        wait_for(lambda: _answers(port))
        with ServedHere(tmp_path) as here:
            url = f"http://127.0.0.1:{port}/hooks/evrotel"
            values = {"evrotel_token": TOKEN, "webhook_url": url, "webhook_secret": SECRET}
            here.deployment.connections.add("acme", "webhook", values)
            here.work()
            started = here.transmitter().start("0671234567", "0441112233")
            here.transmitter().end(started.callid, disposition="ANSWERED", billsec="5")
            wait_for(lambda: "call.finished" in (tmp_path / "said.txt").read_text())
    finally:
        receiver.kill()
        receiver.wait()
    assert started.callid == "crm-1"


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=1).status_code == 404
    except requests.RequestException:
        return False


@pytest.mark.parametrize(
    ("program", "language", "call"),
    [
        ("node", "javascript", "console.log(verified(process.argv[2], JSON.parse(process.argv[3]), process.argv[4]));"),
        ("php", "php", ""),
    ],
)
def test_signatures_are_verified(tmp_path: Path, program: str, language: str, call: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    body, at = '{"type":"ping"}', datetime.now(UTC)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp()))}
    headers["webhook-signature"] = f"v1,AAAA {Webhook(SECRET).sign('msg_1', at, body)}"
    script = tmp_path / "verify"
    code = sample(language)
    if language == "php":
        code = code.partition("$ok =")[0] + (
            "$h = json_decode($argv[2], true);\n"
            "echo verified($argv[1], $h['webhook-id'], $h['webhook-timestamp'], $h['webhook-signature'], $argv[3])"
            " ? 'true' : 'false';\n"
        )
    script.write_text(f"{code}\n{call}")
    for text, expected in ((body, "true"), (body + " ", "false")):
        command = [program, str(script), SECRET, json.dumps(headers), text]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == expected

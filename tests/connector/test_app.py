"""What the whole application says where no view of its answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from gunicorn.http.errors import InvalidChunkSize

from connector.app import create_app
from connector.deployment import Deployment
from crm_adapters.registry import TAKEN
from tests.conftest import empty_database


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """HTTP is the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    return create_app(deployment.settings, deployment).test_client()


def test_no_crm_can_be_called_like_an_address_of_ours(deployment: Deployment) -> None:
    rules = create_app(deployment.settings, deployment).url_map.iter_rules()
    firsts = {rule.rule.split("/")[1] for rule in rules}
    assert {first for first in firsts if first and not first.startswith("<")} == TAKEN


def test_a_body_of_broken_chunks_is_the_sender_s_fault(deployment: Deployment) -> None:
    app = create_app(deployment.settings, deployment)

    @app.post("/read")
    def read() -> str:
        raise InvalidChunkSize(b"ZZ")  # by gunicorn, when the body is read

    assert app.test_client().post("/read").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/recordings/x.wav", 405),
        ("POST", "/bitrix24/nobody/nothing", 404),
        ("DELETE", "/bitrix24/nobody/install", 405),
    ],
)
def test_every_answer_to_a_machine_is_small_and_plain(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (status, "text/plain")
    assert len(answer.data) < 100
    assert ("Allow" in answer.headers) == (status == 405)

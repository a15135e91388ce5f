"""An application with the HTTP API alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector.api import setup
from connector.api.keys import create_api_key
from connector.connections.store import Connection
from connector.deployment import EXTENSION, Deployment
from tests.connector.recordings.rows import add_connection


@pytest.fixture
def app(deployment: Deployment) -> Flask:
    app = Flask("test", static_folder=None)
    app.extensions[EXTENSION] = deployment
    setup.register(app)
    return app


@dataclass(frozen=True)
class Tenant:
    """A connection, and a client with its key."""

    connection: Connection
    client: FlaskClient
    key: str

    def get(self, path: str, **query: Any) -> Any:
        """The JSON under the connection's own path."""
        answer = self.client.get(f"/api/v1/connections/{self.connection.name}{path}", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json


@pytest.fixture
def tenant(app: Flask, deployment: Deployment) -> Tenant:
    return make_tenant(app, deployment, "shop")


def make_tenant(app: Flask, deployment: Deployment, name: str) -> Tenant:
    connection = add_connection(deployment, name)
    key = create_api_key(deployment.database, connection.id)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return Tenant(connection, client, key)

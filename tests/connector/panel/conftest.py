"""The real application on each database."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector.app import create_app
from connector.deployment import Deployment
from tests.connector.panel.rows import signed_in


@pytest.fixture
def app(deployment: Deployment) -> Flask:
    return create_app(deployment.settings, deployment)


@pytest.fixture
def admin(app: Flask, deployment: Deployment) -> FlaskClient:
    """A browser in which an admin is signed in."""
    return signed_in(app, deployment.database, "Oksana")

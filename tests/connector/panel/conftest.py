"""The real application on each database."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache

from connector.app import create_app
from connector.deployment import Deployment
from tests.connector.panel.rows import signed_in


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Each test has an application of its own; the templates need not be compiled for each."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(deployment: Deployment, compiled_templates: FileSystemBytecodeCache) -> Flask:
    app = create_app(deployment.settings, deployment)
    app.jinja_env.bytecode_cache = compiled_templates
    return app


@pytest.fixture
def admin(app: Flask, deployment: Deployment) -> FlaskClient:
    """A browser in which an admin is signed in."""
    return signed_in(app, deployment.database, "Oksana")

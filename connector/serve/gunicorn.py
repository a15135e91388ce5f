"""The web server: gunicorn with threads. Each worker process makes its own application after the fork."""

from __future__ import annotations

import gc
import logging
import os
import signal
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from connector.app import create_app
from connector.deployment import Deployment
from connector.panel.live_views import live_board
from connector.serve.lifeline import die_with
from connector.serve.reporting import report_errors
from connector.settings import Settings

KEEPALIVE_SECONDS = 95
"""Longer than the 90 s of Heroku's router, which else sends requests into connections that are just being closed."""
GRACEFUL_SECONDS = 25
"""Within the 30 s that platforms leave between SIGTERM and SIGKILL."""


class WebServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no annotations
    """gunicorn's view of one deployment. `listener` is a listening socket's descriptor; without it one is opened."""

    def __init__(self, settings: Settings, listener: int | None = None) -> None:
        self._settings = settings
        self._bind = _address(settings) if listener is None else f"fd://{listener}"
        self._master_lives, self._held_by_master = os.pipe()
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        report_errors(self._settings)
        deployment = Deployment(self._settings)
        deployment.import_adapters()
        return create_app(self._settings, deployment)

    def _options(self) -> dict[str, Any]:
        return {
            "bind": self._bind,
            "worker_class": "gthread",
            "workers": self._settings.web_concurrency,
            "threads": self._settings.web_threads,
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "timeout": 60,
            "limit_request_line": 8190,
            "forwarded_allow_ips": "",  # TRUSTED_PROXIES says whom to believe, in the application
            "control_socket_disable": True,
            "logger_class": Log,
            "loglevel": self._settings.log_level.lower(),
            "when_ready": _share_memory,
            "post_fork": self._after_fork,
            "post_worker_init": _end_streams_first,
        }

    def _after_fork(self, _server: object, _worker: object) -> None:
        """A worker ends with its master, so that the port is free at once when the master was killed."""
        os.close(self._held_by_master)
        # Until gunicorn's worker sets its own, a signal would go into a copy of the master's queue and be lost.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        die_with(self._master_lives)


class Log(Logger):  # type: ignore[misc]  # gunicorn has no annotations
    """gunicorn's lines go where all others go, masked as they are. There is no access log: addresses carry secrets."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        if self.error_log.getEffectiveLevel() < logging.INFO:
            self.error_log.setLevel(logging.INFO)  # at DEBUG it writes each request's address


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def _end_streams_first(worker: Any) -> None:
    """On SIGTERM open live lists end at once: else each would hold its process for the whole graceful time."""
    stop_worker: Any = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        live_board(worker.wsgi).stop()
        stop_worker(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _share_memory(_server: object) -> None:
    """What was imported so far stays shared between the processes: the collector does not touch it any more."""
    gc.collect()
    gc.freeze()

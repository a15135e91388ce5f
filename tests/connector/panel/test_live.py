"""The live list's stream: told soon, within one's scope, never by too many."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.panel.access import Scope
from connector.panel.live import MOST_LISTENERS, LiveBoard
from connector.panel.live_views import live_board
from tests.connector.panel.rows import add_call, add_connection


@pytest.fixture
def board(deployment: Deployment) -> Iterator[LiveBoard]:
    made = LiveBoard(deployment.database)
    yield made
    made.stop()


def test_a_change_is_told_once_and_to_those_who_may_see_it(deployment: Deployment, board: LiveBoard) -> None:
    shop, other = add_connection(deployment), add_connection(deployment, "other")
    everyone, agent = board.listen(Scope()), board.listen(Scope(connection_id=shop.id, extension="101"))
    stranger = board.listen(Scope(connection_id=other.id))
    assert everyone
    assert agent
    assert stranger
    add_call(deployment.database, shop.id, extension="101")
    assert everyone.news.wait(5)
    assert agent.news.wait(1)
    assert not stranger.news.is_set()
    everyone.news.clear()
    assert not everyone.news.wait(2.5)


def test_the_stream_says_that_calls_changed(deployment: Deployment, board: LiveBoard) -> None:
    shop = add_connection(deployment)
    listener = board.listen(Scope())
    assert listener
    lines = board.stream(listener)
    assert next(lines).startswith("retry:")
    add_call(deployment.database, shop.id)
    assert next(lines) == "event: calls\ndata: changed\n\n"


def test_the_thread_stops_with_the_last_listener_and_starts_with_the_next(
    deployment: Deployment, board: LiveBoard
) -> None:
    shop = add_connection(deployment)
    first = board.listen(Scope())
    assert first
    board.leave(first)
    time.sleep(1.5)
    second = board.listen(Scope())
    assert second
    add_call(deployment.database, shop.id)
    assert second.news.wait(5)


def test_the_ninth_stream_is_refused_and_a_closed_one_makes_room(app: Flask, admin: FlaskClient) -> None:
    streams = [admin.get("/live/calls", buffered=False) for _ in range(MOST_LISTENERS)]
    assert {stream.status_code for stream in streams} == {200}
    assert streams[0].mimetype == "text/event-stream"
    assert admin.get("/live/calls").status_code == 503
    streams[0].close()
    again = admin.get("/live/calls", buffered=False)
    assert again.status_code == 200
    live_board(app).stop()
    assert admin.get("/live/calls").status_code == 503
    for stream in [*streams[1:], again]:
        stream.close()


def test_stopping_ends_open_streams_at_once(board: LiveBoard) -> None:
    listener = board.listen(Scope())
    assert listener
    lines = board.stream(listener)
    next(lines)
    board.stop()
    began = time.monotonic()
    assert list(lines) == []
    assert time.monotonic() - began < 2.5

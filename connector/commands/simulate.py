"""`connector simulate`: plays Evrotel's transmitter against any receiver."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from connector.log import set_up_logging
from connector.serve.lifeline import die_with
from connector.serve.stopping import stop_on
from connector.simulator.playing import Pace, Playing, Tally, pace_of
from connector.simulator.recordings import recording_path, serve_recordings
from connector.simulator.traffic import SimulatedCall, calls
from connector.simulator.transmitter import (
    NotAsAgreed,
    Transmitter,
    Unanswered,
    callid_of,
    end_fields,
    expect_ok,
    start_fields,
)

DISPOSITIONS = ("ANSWERED", "BUSY", "CONGESTION", "FAILED", "NO ANSWER")
NUMBERS = {"i": ("0987858227", "0443334401"), "o": ("101", "0987858227")}
"""Who calls whom where the command says nothing."""
HISTORY_PER_HOUR = 20.0


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter("should be a time zone such as Europe/Kyiv") from None


class _Disposition(click.Choice[str]):
    """As Evrotel writes it; `no_answer` is taken as well."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(value.replace("_", " "), param, ctx)


url_option = click.option("--url", required=True, help="The receiver, such as https://host/evrotel/default/events.")
token_option = click.option(
    "--token", required=True, help="The connection's Evrotel token; - reads it from standard input."
)
zone_option = click.option(
    "--timezone",
    "zone",
    type=_zone,
    metavar="ZONE",
    default="Europe/Kyiv",
    show_default=True,
    help="The zone of calldate.",
)


@click.group()
def simulate() -> None:
    """Play Evrotel's transmitter against any receiver."""


@simulate.command()
@url_option
@token_option
@click.option("--direction", type=click.Choice(["i", "o"]), default="i", show_default=True, help="In or out.")
@click.option("--from", "number_a", help="Who calls.")
@click.option("--to", "number_b", help="Who is called.")
@click.option("--billsec", type=click.IntRange(0), help="Seconds of talk; 42 where the call is answered.")
@click.option(
    "--disposition", type=_Disposition(DISPOSITIONS, case_sensitive=False), default="ANSWERED", show_default=True
)
@click.option("--recording/--no-recording", default=False, help="Whether the end names a recording.")
@click.option("--seconds", type=click.FloatRange(0), default=2.0, show_default=True, help="Between start and end.")
@click.option("--format", "format_", type=click.Choice(["form", "json"]), default="form", show_default=True)
@zone_option
def call(
    *,
    url: str,
    token: str,
    direction: str,
    number_a: str | None,
    number_b: str | None,
    billsec: int | None,
    disposition: str,
    recording: bool,
    seconds: float,
    format_: str,
    zone: ZoneInfo,
) -> None:
    """Play one call: its start, a wait, its end. Print what was answered."""
    transmitter = _transmitter(url, token, as_json=format_ == "json")
    parties = {"number_a": number_a or NUMBERS[direction][0], "number_b": number_b or NUMBERS[direction][1]}
    talk = billsec if billsec is not None else (42 if disposition == "ANSWERED" else 0)
    began = datetime.now(zone)
    recfile = recording_path(f"{began:%Y-%m-%d}", int(began.timestamp()), 1, talk) if recording else None
    try:
        answer = transmitter.send(start_fields(calldate=began, direction=direction, **parties))
        click.echo(f"start: {answer.status} {answer.body}")
        callid = callid_of(answer)
        time.sleep(seconds)
        answer = transmitter.send(
            end_fields(
                calldate=datetime.now(zone),
                direction=direction,
                callid=callid,
                billsec=talk,
                disposition=disposition,
                recfile=recfile,
                **parties,
            )
        )
        click.echo(f"end: {answer.status} {answer.body}")
        expect_ok(answer)
    except (NotAsAgreed, Unanswered) as error:
        raise click.ClickException(str(error)) from None


@simulate.command()
@url_option
@token_option
@click.option("--calls", "count", type=click.IntRange(0), default=100, show_default=True, help="0: without end.")
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Simulated seconds in one; 0: as fast as can be.",
)
@click.option("--seed", type=int, help="The same seed gives the same calls.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Calls in a simulated hour.",
)
@click.option("--format", "format_", type=click.Choice(["form", "json"]), default="form", show_default=True)
@click.option(
    "--recordings-port",
    type=click.IntRange(0, 65535),
    help="Serve recordings on 127.0.0.1 at this port; without it ends name none.",
)
@click.option(
    "--history", type=click.IntRange(0), default=0, help="First so many calls of the past hours, as fast as can be."
)
@click.option("--lifeline", type=int, hidden=True)
@zone_option
def traffic(
    *,
    url: str,
    token: str,
    count: int,
    speed: float,
    seed: int | None,
    rate: float,
    format_: str,
    recordings_port: int | None,
    history: int,
    lifeline: int | None,
    zone: ZoneInfo,
) -> None:
    """Play the calls of a small company. Exit status 1 where an event was not answered as agreed."""
    if not count and not speed:
        raise click.UsageError("--speed 0 needs a number of --calls")
    if lifeline is not None:
        die_with(lifeline)
    set_up_logging("WARNING", "text")
    transmitter = _transmitter(url, token, as_json=format_ == "json")
    seed = random.randrange(2**32) if seed is None else seed
    with stop_on(signal.SIGTERM) as stop:  # what is being sent is then still sent whole
        if recordings_port is not None:
            _serve_recordings(recordings_port, quiet=lifeline is not None)

        def play(some: Iterable[SimulatedCall], pace: Pace) -> Tally:
            return Playing(transmitter, pace, recordings=recordings_port is not None, stop=stop).play(some)

        past = list(islice(calls(seed + 1, per_hour=HISTORY_PER_HOUR), history))
        play(past, pace_of(past, 0, zone))
        stream = calls(seed, per_hour=rate)
        if count:
            played = list(islice(stream, count))
            _conclude(play(played, pace_of(played, speed, zone)), seed)
        else:
            play(stream, Pace(begins=datetime.now(zone), speed=speed))


def _conclude(tally: Tally, seed: int) -> None:
    click.echo(
        f"seed {seed}: {tally.started} starts and {tally.ended} ends were answered as agreed, {tally.failed} were not"
    )
    if tally.failed:
        raise click.ClickException(f"{tally.failed} events were not answered as agreed")


def _transmitter(url: str, token: str, *, as_json: bool) -> Transmitter:
    if token == "-":  # noqa: S105 - says where the token is, is none
        token = sys.stdin.readline().strip()
    try:
        return Transmitter(url, token, as_json=as_json)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _serve_recordings(port: int, *, quiet: bool) -> None:
    try:
        server = serve_recordings(port)
    except OSError as error:
        raise click.ClickException(f"recordings can't be served on port {port}: {error.strerror}") from None
    if not quiet:
        click.echo(f"Recordings are on http://127.0.0.1:{server.server_port}/")

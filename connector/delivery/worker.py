"""A delivery worker: APScheduler is its clock, the database its queue. Any number may run."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta

from apscheduler.executors.pool import ThreadPoolExecutor as ClockThreads
from apscheduler.schedulers.background import BackgroundScheduler

from connector.autodial.campaigns import end_lost_starts
from connector.autodial.finding_out import FindingOut, end_lost_tests
from connector.autodial.playing import Players
from connector.callback.progress import work_callbacks
from connector.calls.people import refresh_all
from connector.click_to_call.dialling import work_dials
from connector.connections.offers import redeem_offers
from connector.connections.signing_in import SignInsBySettings
from connector.db import Unavailable, now
from connector.delivery import lanes
from connector.delivery.keepalive import keep_accounts_alive
from connector.delivery.loop import work_lane
from connector.delivery.purge import purge
from connector.delivery.turns import QUICK_LANES, SLOW_LANES, Turns
from connector.delivery.wake import watch
from connector.deployment import Deployment
from connector.reconciliation.schedule import reconcile_due
from connector.recordings.jobs import AT_ONCE as RECORDINGS_AT_ONCE
from connector.recordings.jobs import release as release_recordings
from connector.recordings.jobs import renew as renew_recordings
from connector.recordings.jobs import work_recordings
from connector.recordings.sweep import sweep

logger = logging.getLogger(__name__)

IN_FLIGHT_ENDS_WITHIN = 22.0
"""So long a stop waits for CRMs and for calls that play a message: with all else it ends before the supervisor's
patience does. What is cut off then is looked up by the next worker, as after a crash."""
TICKS_END_WITHIN = 2.0
"""So long a stop waits for jobs of the clock, which use the database that is closed next."""
DIALS_AT_ONCE, PLAYS_AT_ONCE = 16, 24
"""Requests to Evrotel at once; one that plays a message lasts as long as the call, so those have their own threads."""


class Worker:
    """One process's lanes and jobs. Each is harmless when two workers run it: its work is claimed in the database."""

    def __init__(self, deployment: Deployment, stop: threading.Event) -> None:
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._deployment = deployment
        self._stop = stop
        self._turns = Turns()
        self._at_work: set[Future[None]] = set()
        self._dispatching = threading.Lock()
        self._lanes = ThreadPoolExecutor(QUICK_LANES + SLOW_LANES, thread_name_prefix="lane")
        self._recordings = ThreadPoolExecutor(RECORDINGS_AT_ONCE, thread_name_prefix="recording")
        self._dials = ThreadPoolExecutor(DIALS_AT_ONCE, thread_name_prefix="dial")
        self._plays = ThreadPoolExecutor(PLAYS_AT_ONCE, thread_name_prefix="play")
        self._playing: set[Future[None]] = set()
        self._dialling = threading.Lock()
        self._players = Players(deployment, stop, _guarded)
        self._finding_out = FindingOut(deployment)
        self._sign_ins = SignInsBySettings(deployment)
        self._ticks: set[object] = set()

    def run(self) -> None:
        """Works until `stop` is set, then finishes what is in flight."""
        clock = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ClockThreads(12)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
        )
        for job, seconds in self._jobs():
            clock.add_job(self._ticking(job), "interval", seconds=seconds, next_run_time=now() + timedelta(seconds=0.1))
        clock.start()
        watching = watch(self._deployment.database, _guarded(self._wake), self._stop)
        logger.info("worker %s is ready", self.owner)
        self._stop.wait()
        self._finish(clock)
        watching.join(TICKS_END_WITHIN)

    def _ticking(self, job: Callable[[], object]) -> Callable[[], None]:
        """The job as the clock runs it: not after the stop, and known while it runs."""
        run = _guarded(job)

        def tick() -> None:
            token = object()
            self._ticks.add(token)
            try:
                if not self._stop.is_set():
                    run()
            finally:
                self._ticks.discard(token)

        return tick

    def _jobs(self) -> list[tuple[Callable[[], object], float]]:
        """The clockwork: what is done, and each how many seconds."""
        deployment = self._deployment
        return [
            (self.dispatch, 1),
            (self.renew_leases, 3),
            (self.fetch_recordings, 1),
            (self.dial, 1),
            (lambda: work_callbacks(deployment), 1),
            (self._players.feed, 1),
            (self._finding_out.tick, 2),
            (lambda: end_lost_tests(deployment), 15),
            (lambda: end_lost_starts(deployment), 15),
            (lambda: redeem_offers(deployment), 1),
            (self._sign_ins.sign_in_all, 2),
            (lambda: refresh_all(deployment), 5),
            (lambda: keep_accounts_alive(deployment), 12 * 3600),
            (lambda: reconcile_due(deployment), 5),
            (lambda: purge(deployment), 3600),
            (lambda: sweep(deployment), 24 * 3600),
        ]

    def _wake(self) -> None:
        self.dial()
        self._players.feed()
        self.dispatch()
        self.fetch_recordings()

    def dial(self) -> None:
        """Has Evrotel asked for the calls that somebody wants."""
        with self._dialling:
            if self._stop.is_set():
                return
            self._playing = {play for play in self._playing if not play.done()}
            free = PLAYS_AT_ONCE - len(self._playing)
            work_dials(self._deployment, self._submit_dial, self._submit_play, free)

    def _submit_dial(self, job: Callable[[], None]) -> None:
        if not self._stop.is_set():
            self._dials.submit(_guarded(job))

    def _submit_play(self, job: Callable[[], None]) -> None:
        if not self._stop.is_set():
            self._playing.add(self._plays.submit(_guarded(job)))

    def fetch_recordings(self) -> None:
        """Has the recordings that are due fetched."""
        if not self._stop.is_set():
            work_recordings(self._deployment, self.owner, self._submit_recording)

    def _submit_recording(self, job: Callable[[], None]) -> None:
        if not self._stop.is_set():
            self._recordings.submit(_guarded(job))

    def dispatch(self) -> None:
        """Hands every lane that is due and free to a thread."""
        with self._dispatching:
            if self._stop.is_set():
                return
            with self._deployment.database.read() as db:
                due = lanes.due(db, now())
            taken = [self._lanes.submit(self._work, connection_id) for connection_id in self._turns.take(due)]
            self._at_work = {each for each in self._at_work if not each.done()} | set(taken)

    def _work(self, connection_id: int) -> None:
        worked = work_lane(self._deployment, connection_id, self.owner, self._stop)
        self._turns.end(connection_id, worked.last_seconds)
        if worked.more:
            _guarded(self.dispatch)()

    def renew_leases(self) -> None:
        """Keeps the lanes that are being worked on, and the recordings that are being fetched."""
        renew_recordings(self._deployment.database, self.owner)
        self._players.renew()
        if working := self._turns.working:
            with self._deployment.database.write() as db:
                lanes.renew(db, self.owner, working, now())

    def _finish(self, clock: BackgroundScheduler) -> None:
        """Leases are renewed until the last telling is settled; recordings that wait are given back."""
        clock.pause()
        self._recordings.shutdown(wait=False, cancel_futures=True)
        self._dials.shutdown(wait=False, cancel_futures=True)
        self._plays.shutdown(wait=False, cancel_futures=True)
        renewing = threading.Event()

        def renew() -> None:
            while not renewing.wait(3):
                self.renew_leases()

        threading.Thread(target=_guarded(renew), daemon=True).start()
        self._lanes.shutdown(wait=False, cancel_futures=True)
        give_up = time.monotonic() + IN_FLIGHT_ENDS_WITHIN
        if wait(self._at_work, IN_FLIGHT_ENDS_WITHIN).not_done:
            logger.warning("a CRM that does not answer is not waited for: its events are told after the start")
        self._players.finish(give_up)
        renewing.set()
        clock.shutdown(wait=False)
        ticks_end = time.monotonic() + TICKS_END_WITHIN
        while self._ticks and time.monotonic() < ticks_end:
            time.sleep(0.02)
        release_recordings(self._deployment.database, self.owner)
        logger.info("worker %s has stopped", self.owner)


def _guarded(job: Callable[[], object]) -> Callable[[], None]:
    """A database that is away for a while is no news at each tick; anything else is a bug and is shown whole."""

    def run() -> None:
        try:
            job()
        except Unavailable as error:
            logger.warning("the database does not answer: %s", type(error).__name__)
        except Exception:
            logger.exception("a job of the worker failed")

    return run


def run_worker(deployment: Deployment, stop: threading.Event) -> None:
    """Runs a worker until `stop` is set."""
    Worker(deployment, stop).run()

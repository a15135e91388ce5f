"""The parent of `connector run`: starts web server and worker, starts again one that dies, stops both on SIGTERM.

It lives as long as they do and does next to nothing, so it is a program of its own that imports only a little of the
standard library: `python -m connector.serve.supervisor PLAN`, where PLAN is a descriptor to read the plan from.
The plan is JSON: {"listener": descriptor, "ready": text, "children": [{"name", "command", "listens", "input"}, ...]}.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import IO, Any

STOP_SECONDS = 28.0
"""Platforms leave 30 s between SIGTERM and SIGKILL; the web server takes at most 25 of them."""
LONGEST_BACKOFF = 10.0
STEADY_SECONDS = 10.0
"""Who lived so long and then died is started again as quickly as at the first time."""


class Child:
    """One process to keep running; `plan` is its part of the supervisor's plan."""

    def __init__(self, plan: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self.name: str = plan["name"]
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0
        self._plan = plan
        self._clock = clock
        self._failures = 0
        self._started = 0.0

    def start(self, lifeline: int, listener: int) -> None:
        """Starts the process, in a group of its own: Ctrl-C is for the parent, who then stops all in good order."""
        self._started = self._clock()
        command, descriptors = [*self._plan["command"], "--lifeline", str(lifeline)], [lifeline]
        if self._plan["listens"]:
            command += ["--listener", str(listener)]
            descriptors.append(listener)
        text = self._plan["input"]
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            pass_fds=descriptors,
            process_group=0,
        )
        if self.process.stdin:
            self._write(self.process.stdin, text)

    def _write(self, stdin: IO[bytes], text: str) -> None:
        try:
            stdin.write(text.encode())
            stdin.close()
        except BrokenPipeError:
            pass  # it died at once: its end is noticed as any other

    def ended(self) -> int | None:
        """The return code of a process that ended; it is then due to be started again after a while."""
        code = self.process.poll() if self.process else None
        if code is not None:
            self.process = None
            now = self._clock()
            self._failures = 0 if now - self._started > STEADY_SECONDS else self._failures + 1
            self.due = now + min(LONGEST_BACKOFF, 0.1 * 2**self._failures)
        return code

    def signal(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)


class Supervisor:
    """Keeps the plan's children running until a signal asks it to stop."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._children = [Child(child) for child in plan["children"]]
        self._listener = socket.socket(fileno=plan["listener"])
        self._listener.set_inheritable(False)
        self._address = self._listener.getsockname()[:2]
        self._ready_text: str | None = plan["ready"]
        self._stopping = False
        # Only this process holds the writing end: the children see it closed when this process is gone.
        self._lifeline, self._life = os.pipe()
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # only to be woken

    def run(self) -> int:
        """Returns the exit status: 0 where all stopped cleanly."""
        while not self._stopping:
            now = time.monotonic()
            for child in self._children:
                if child.process is None and child.due <= now:
                    child.start(self._lifeline, self._listener.fileno())
            if self._ready_text is not None and self._answers():
                _say(sys.stdout, self._ready_text)
                self._ready_text = None
            self._sleep(self._longest_sleep())
            for child in self._children:
                self._notice_end(child)
        return self._stop()

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _longest_sleep(self) -> float | None:
        if self._ready_text is not None:
            return 0.1
        waiting = [child.due for child in self._children if child.process is None]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _sleep(self, seconds: float | None) -> None:
        """Until a signal comes or the time is up."""
        if select.select([self._woken], [], [], seconds)[0]:
            os.read(self._woken, 512)

    def _notice_end(self, child: Child) -> None:
        code = child.ended()
        if code is not None and not self._stopping:
            wait = child.due - time.monotonic()
            _say(sys.stderr, f"connector: the {child.name} process {_how(code)}; it is started again in {wait:.1f} s")

    def _answers(self) -> bool:
        """Whether the web server answers a health check."""
        host, port = self._address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - any address: asked at loopback
        try:
            with socket.create_connection((host, port), timeout=1) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return connection.recv(64).split(b" ")[1:2] == [b"200"]
        except OSError:
            return False

    def _stop(self) -> int:
        """Has all finish what is in flight. Who is not done when the time is up is killed.

        More signals change nothing: `timeout` and some process managers send each one twice.
        """
        self._listener.close()  # who comes now is refused instead of waiting for nobody
        for child in self._children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        clean = True
        while any(child.process for child in self._children):
            if time.monotonic() > deadline:
                clean = False
                for child in self._children:
                    child.signal(signal.SIGKILL)
            self._sleep(0.5)
            for child in self._children:
                code = child.ended()
                if code not in {None, 0, -signal.SIGTERM}:  # killed by SIGTERM: it had nothing to finish
                    _say(sys.stderr, f"connector: the {child.name} process {_how(code)} while stopping")
                    clean = False
        return 0 if clean else 1


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


def _say(stream: Any, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError:
        pass  # nobody listens any more; that is no reason to stop serving


def main() -> None:
    """Reads the plan and keeps to it."""
    with os.fdopen(int(sys.argv[1])) as plan:
        supervisor = Supervisor(json.load(plan))
    sys.exit(supervisor.run())


if __name__ == "__main__":
    main()

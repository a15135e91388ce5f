"""Own CRMs: each event is sent until the receiver has taken it, signed, with an ID that is the same at every repeat."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from crm_adapters.addresses import address_parts
from crm_adapters.contract import CARD, CRMAdapter, Finding, Priority, Save, Telling
from crm_adapters.errors import AccountTrouble, Held, NotSent, SignInRefused, TryAgain
from crm_adapters.events import CallEnded, CallStarted, Inbound
from crm_adapters.findings import right, wrong
from crm_adapters.texts import marked as _
from crm_adapters.webhook import DESCRIPTION
from crm_adapters.webhook.answers import read_card
from crm_adapters.webhook.fields import types_of
from crm_adapters.webhook.forwarding import callid_in, forward, with_callid
from crm_adapters.webhook.mapping import Message, message_of, ping
from crm_adapters.webhook.sending import SECONDS, Sent, send

logger = logging.getLogger(__name__)

AT_ONCE = 8
_SENDERS = threading.BoundedSemaphore(40)
"""Threads that send besides those that tell: however many receivers are slow, a small machine has few to give."""
SENT, FORWARDED, THEIR_CALLID = "sent", "forwarded", "forward_callid"
_LATE = threading.BoundedSemaphore(64)
"""Receivers that a process waits for at once while phones ring."""

_TOO_LATE = Sent(exchange=None, error=NotSent("it goes first in the next round"))


@contextmanager
def _senders(wanted: int) -> Iterator[int]:
    """How many threads may send so many events; 0: only the one that asks."""
    count = 0
    while 1 < wanted > count < AT_ONCE and _SENDERS.acquire(blocking=False):
        count += 1
    try:
        yield count
    finally:
        if count:
            _SENDERS.release(count)


class _Until:
    """The end of a round. What is begun in its second half might be cut off: a receiver that takes its time would be
    told twice, and pass for one that does not answer."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._last_begin = self.deadline - seconds / 2

    def may_begin(self) -> bool:
        return time.monotonic() <= self._last_begin


class Adapter(CRMAdapter):
    """The translator for own CRMs."""

    description = DESCRIPTION

    def tell(
        self,
        tellings: Sequence[Telling],
        *,
        save: Save,
        priority: Priority,
        seconds: float,
    ) -> None:
        """Sends several at once. After a receiver that asks for patience or is gone the rest is left unsent."""
        tellings = self.declared(tellings)
        if priority is Priority.START and self._tell_while_it_rings(tellings, save, seconds):
            return
        until, stop = _Until(seconds), threading.Event()

        def tell_one(telling: Telling) -> None:
            if stop.is_set():
                telling.error = NotSent("the receiver has asked for patience")
                return
            self._tell(telling, save, until)
            if isinstance(telling.error, AccountTrouble | SignInRefused):
                stop.set()

        with _senders(len(tellings)) as count:
            if count < 2:
                for telling in tellings:
                    tell_one(telling)
                return
            with ThreadPoolExecutor(count, thread_name_prefix="webhook") as threads:
                list(threads.map(tell_one, tellings))

    def _tell_while_it_rings(self, tellings: Sequence[Telling], save: Save, seconds: float) -> bool:
        """Gives a receiver that is slower than Evrotel's patience its time all the same, in a thread that goes on: cut
        off and asked again it might take one call for two. False where too many are waited for already."""
        if not _LATE.acquire(blocking=False):
            return False
        given_up = threading.Event()

        def ask() -> None:
            try:
                for telling in tellings:
                    self._tell(telling, save, _Until(SECONDS))
                if given_up.is_set():
                    self._hold_no_longer(tellings)
                    save(tellings)
            except Exception as error:
                logger.exception("connection %s: a start was not told", self.account.connection)
                for telling in tellings:
                    telling.error = telling.error or TryAgain(f"unexpected {type(error).__name__}")
            finally:
                _LATE.release()

        asking = threading.Thread(target=ask, name="webhook-start", daemon=True)
        asking.start()
        asking.join(seconds)
        if asking.is_alive():
            for telling in tellings:
                telling.error = Held("the receiver has not answered yet", retry_after=SECONDS + 1)
            given_up.set()
        return True

    def _hold_no_longer(self, tellings: Sequence[Telling]) -> None:
        """What was taken late has nothing left to wait for."""
        for telling in tellings:
            told = self._to_send(telling) is None and self._to_forward(telling) is None
            if told and isinstance(telling.error, Held):
                telling.error.retry_after = 0.0

    def _tell(self, telling: Telling, save: Save, until: _Until) -> None:
        """The event, and Evrotel's own request where that is forwarded; what was taken is not sent again."""
        if (message := self._to_send(telling)) is not None:
            sent = send(self.account, message, until.deadline) if until.may_begin() else _TOO_LATE
            _note(telling, sent)
            if sent.error is None:
                telling.progress[SENT] = True
                _take_card(telling, sent)
        if (inbound := self._to_forward(telling)) is not None:
            if telling.progress.get(SENT):
                save([telling])
            sent = forward(self.account, inbound, until.deadline) if until.may_begin() else _TOO_LATE
            _note(telling, sent)
            if sent.error is None:
                telling.progress[FORWARDED] = True
                _take_callid(telling, sent)

    def _to_send(self, telling: Telling) -> Message | None:
        """The event, where it is one that is wanted and the receiver has not taken it yet."""
        message = None if telling.progress.get(SENT) else message_of(telling.event)
        wanted = types_of(self.account.settings.get("webhook_events", ""))
        return message if message is not None and message.type in wanted else None

    def _to_forward(self, telling: Telling) -> Inbound | None:
        """Evrotel's request, where the event comes from one and the receiver has not taken it yet."""
        event = telling.event
        if not self.account.settings.get("webhook_forward_url") or telling.progress.get(FORWARDED):
            return None
        if not isinstance(event, CallStarted | CallEnded):
            return None
        inbound, theirs = event.read_inbound(), telling.notes.get(THEIR_CALLID)
        if inbound is not None and theirs and isinstance(event, CallEnded) and theirs != event.callid:
            return with_callid(inbound, str(theirs))
        return inbound

    def check(self) -> list[Finding]:
        """Sends the test event `ping`, which changes nothing."""
        return [self.test_event()]

    def test_event(self) -> Finding:
        """Sends `ping` and says what came back."""
        host = address_parts(self.account.settings.get("webhook_url", "")).netloc
        sent = send(self.account, ping(self.account.connection, datetime.now(UTC)), time.monotonic() + SECONDS)
        if sent.error is None:
            return right("webhook", _("%(host)s has taken the test event"), host=host)
        return wrong(
            "webhook",
            _("the test event was not taken: %(why)s"),
            _("Check webhook_url and webhook_secret, and that the receiver answers 2xx to `ping`."),
            why=str(sent.error),
        )


def _note(telling: Telling, sent: Sent) -> None:
    if sent.exchange is not None:
        telling.exchanges.append(sent.exchange)
    telling.error = telling.error or sent.error


def _take_card(telling: Telling, sent: Sent) -> None:
    """What the receiver says of a call that starts."""
    if not isinstance(telling.event, CallStarted):
        return
    card = read_card(sent.body)
    telling.crm_call_id = card.id or telling.crm_call_id
    if card.shown:
        telling.notes[CARD] = card.shown


def _take_callid(telling: Telling, sent: Sent) -> None:
    if isinstance(telling.event, CallStarted) and (callid := callid_in(sent.body)):
        telling.notes[THEIR_CALLID] = callid
        telling.crm_call_id = telling.crm_call_id or callid

"""One HTTP request to an account: guarded, timed, whole, never redirected."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from crm_adapters.amocrm.answers import SILENCE, Answer, parsed
from crm_adapters.errors import Unreachable
from crm_adapters.http import CONNECT_SECONDS, BodyTooLarge, DeadlinePassed, ForbiddenAddress, read_capped

MOST_BYTES = 16 * 1024 * 1024
_UNSENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError)


def ask(
    session: requests.Session,
    method: str,
    url: str,
    *,
    deadline: float,
    headers: Mapping[str, str],
    data: Any = None,
    params: Any = None,
) -> Answer:
    """The answer, whatever its status, by `deadline` (monotonic seconds).

    Raises Unreachable where none came, with `maybe_done` unless the request certainly was not sent.
    """
    left = max(deadline - time.monotonic(), 0.1)
    try:
        with session.request(
            method,
            url,
            json=data,
            params=params,
            headers=dict(headers),
            stream=True,
            allow_redirects=False,
            timeout=(min(CONNECT_SECONDS, left), left),
        ) as response:
            text = read_capped(response, MOST_BYTES, deadline).decode("utf-8", "replace")
            return parsed(response.status_code, text, response.headers)
    except ForbiddenAddress as error:
        raise Unreachable(f"refused to connect: {error}") from None
    except requests.ConnectTimeout:
        raise Unreachable("no connection to amoCRM in time") from None
    except (requests.ReadTimeout, DeadlinePassed):
        raise Unreachable("amoCRM did not answer in time", code=SILENCE, maybe_done=True) from None
    except (requests.RequestException, BodyTooLarge) as error:
        # Not the error's own text: it contains the address with whatever stood in it.
        sent = not isinstance(getattr(error.args[0] if error.args else None, "reason", None), _UNSENT)
        code = "" if sent else "no_connection"
        raise Unreachable(f"no answer from amoCRM ({type(error).__name__})", code=code, maybe_done=sent) from None

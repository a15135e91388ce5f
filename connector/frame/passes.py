"""The pass of a page in a CRM's frame: a signed token of an hour instead of a cookie.

Browsers keep third parties' cookies out of frames. The pass stands in the page's forms, goes by POST alone, and each
page hands on a fresh one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

LASTS_SECONDS = 3600
LASTS_IN_ALL_SECONDS = 4 * 3600
"""However busy the page: whom the CRM has dismissed or made no administrator any more shall not go on for ever."""
_SALT = "crm-frame"


@dataclass(frozen=True, kw_only=True)
class FramePass:
    """Who opened the application, verified by the CRM, and the frame it is shown in.

    `number` is the client's where the frame belongs to a call's card (empty: hidden), None elsewhere; `script` is the
    CRM's library for its frames. `opened_at` (Unix seconds) is when the CRM verified the user.
    """

    connection: str
    user_id: str
    is_admin: bool
    language: str
    frame_ancestor: str
    script: str
    opened_at: float
    number: str | None = None


def sign_pass(keys: Sequence[str], given: FramePass) -> str:
    """The token; `keys` are the deployment's, the present one first."""
    signed = _serializer(keys).dumps(asdict(given))
    return signed if isinstance(signed, str) else signed.decode()


def read_pass(keys: Sequence[str], token: str) -> FramePass | None:
    """The pass, None where the token is not ours or too old."""
    try:
        given = FramePass(**_serializer(keys).loads(token, max_age=LASTS_SECONDS))
    except (BadData, TypeError):
        return None
    return given if time.time() - given.opened_at < LASTS_IN_ALL_SECONDS else None


def _serializer(keys: Sequence[str]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(reversed(keys)), salt=_SALT)  # itsdangerous signs with the last one

"""The pass of a page in a CRM's frame: a signed token of an hour instead of a cookie.

Browsers keep third parties' cookies out of frames. The pass stands in the page's forms, goes by POST alone, and each
page hands on a fresh one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

LASTS_SECONDS = 3600
_SALT = "crm-frame"


@dataclass(frozen=True, kw_only=True)
class FramePass:
    """Who opened the application, verified by the CRM, and the frame it is shown in.

    `number` is set where the frame belongs to a client's call card; `script` is the CRM's library for its frames.
    """

    connection: str
    user_id: str
    is_admin: bool
    language: str
    frame_ancestor: str
    script: str
    number: str = ""


def sign_pass(keys: Sequence[str], given: FramePass) -> str:
    """The token; `keys` are the deployment's, the present one first."""
    signed = _serializer(keys).dumps(asdict(given))
    return signed if isinstance(signed, str) else signed.decode()


def read_pass(keys: Sequence[str], token: str) -> FramePass | None:
    """The pass, None where the token is not ours or too old."""
    try:
        return FramePass(**_serializer(keys).loads(token, max_age=LASTS_SECONDS))
    except (BadData, TypeError):
        return None


def _serializer(keys: Sequence[str]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(reversed(keys)), salt=_SALT)  # itsdangerous signs with the last one

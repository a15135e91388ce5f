"""telephony.externalCall.attachRecord in its three forms, and the upload that the third one leads to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.emulators.bitrix24.errors import CORE, RestError, system, telephony
from tests.emulators.bitrix24.invocation import Invocation
from tests.emulators.bitrix24.state import Account, Call
from tests.emulators.http import Request

DOWNLOAD_SECONDS = 15
EXTENSIONS = (".wav", ".mp3")
AUDIO_BEGINNINGS = (b"RIFF", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def attach_record(call: Invocation) -> dict[str, Any]:
    """Attaches a recording to a finished call: by address (downloaded now), by content, or by an upload to follow."""
    url, name = call.text("RECORD_URL"), call.text("FILENAME")
    if not url and "FILENAME" not in call.params:
        raise telephony("nothing_to_attach")
    known = _finished_call(call.account, call.text("CALL_ID"))
    if url:
        content = _download(url)
        return _keep(call.account, known, name or unquote(urlsplit(url).path).rsplit("/", 1)[-1], content)
    if "FILE_CONTENT" not in call.params:
        return {"uploadUrl": _upload_url(call, known), "fieldName": "file"}
    if not name:
        raise telephony("no_file_name")
    _check_extension(name)
    return _keep(call.account, known, name, _decode(call.text("FILE_CONTENT")))


def upload(account: Account, request: Request, query: dict[str, Any]) -> dict[str, Any]:
    """The multipart request with the file itself, to the address that attachRecord gave."""
    _, _, rest = str(query.get("token", "")).partition("|")
    call_id, _, signature = rest.partition("|")
    if not hmac.compare_digest(signature, _sign(account, call_id)):
        raise system("ACCESS_DENIED")
    name, content = multipart_file(request, "file")
    _check_extension(name)
    return _keep(account, _finished_call(account, call_id), name, content)


def multipart_file(request: Request, field: str) -> tuple[str, bytes]:
    """The name and content of a file field of a multipart form."""
    boundary = request.headers.get_param("boundary") or ""
    for part in request.body.split(b"--" + str(boundary).encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        if f'name="{field}"' in text and 'filename="' in text:
            return text.split('filename="', 1)[1].split('"', 1)[0], content.removesuffix(b"\r\n")
    raise telephony("no_content")


def _finished_call(account: Account, call_id: str) -> Call:
    known = account.calls.get(call_id)
    if known is None or not known.finished:
        raise telephony("not_finished")
    return known


def _download(url: str) -> bytes:
    """The portal's own request for the recording; follows redirects, insists on 200."""
    try:
        with DIRECT.open(url, timeout=DOWNLOAD_SECONDS) as answer:
            status, content = answer.status, bytes(answer.read())
    except urllib.error.HTTPError as refusal:
        refusal.close()
        status, content = refusal.code, b""
    except (OSError, ValueError, http.client.HTTPException) as trouble:
        raise RestError("SERVER_NOT_AVAILABLE", f"NETWORK: {trouble}") from None
    if status != 200:
        raise RestError(CORE, f"Server returns HTTP error code {status}")
    return content


def _decode(text: str) -> bytes:
    if not text:
        raise telephony("no_content")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise telephony("bad_base64") from None


def _check_extension(name: str) -> None:
    if not name.lower().endswith(EXTENSIONS):
        raise telephony("bad_extension")


def _keep(account: Account, call: Call, name: str, content: bytes) -> dict[str, int]:
    """Stores the recording; a repeat replaces the earlier one."""
    _check_extension(name)
    if not content:
        raise telephony("no_content")
    if not content.startswith(AUDIO_BEGINNINGS):
        account.violate("telephony.externalCall.attachRecord", f"{name} is no audio: {content[:20]!r}")
    with account.lock:
        call.record, call.record_name = content, name
        call.records_attached += 1
        call.record_file_id = account.next_id()
        return {"FILE_ID": call.record_file_id}


def _upload_url(call: Invocation, known: Call) -> str:
    account = call.account
    token = quote(f"telephony|{known.call_id}|{_sign(account, known.call_id)}", safe="")
    return f"http://{account.domain}/rest/upload.json?auth={call.token.access}&token={token}"


def _sign(account: Account, call_id: str) -> str:
    return hmac.new(account.member_id.encode(), call_id.encode(), hashlib.sha256).hexdigest()

"""What УНФ's telephony asks of the PBX: to dial, and which extensions there are."""

from __future__ import annotations

import hmac
import re
import uuid

from crm_adapters.contract import Account
from crm_adapters.door_answers import ClickToCall, DoorAnswer, DoorRefused, DoorRequest, ExtensionsAsked, Ignored


def open_door(account: Account, request: DoorRequest) -> DoorAnswer:
    """See the contract. The form has `cmd` and `token`, by the dialogue of "УниверсальныйItoolabs"."""
    expected, given = account.settings.get("onec_pbx_token", ""), request.form.get("token", "")
    if not expected or not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
        return DoorRefused(status=401, text="Access denied")
    match request.form.get("cmd", ""):
        case "makeCall":
            return _click(request)
        case "accounts":
            return ExtensionsAsked()
        case "ping" | "":
            return Ignored()
        case unknown:
            return DoorRefused(status=400, text=f"cmd should be makeCall or accounts, not {unknown[:20]!r}")


def _click(request: DoorRequest) -> DoorAnswer:
    phone, user = request.form.get("phone", "").strip(), request.form.get("user", "").strip()
    if not re.search(r"\d{3}", re.sub(r"\D", "", phone)) or len(phone) > 64:
        return DoorRefused(status=400, text="phone should be a number")
    if not re.fullmatch(r"[0-9]{1,5}", user):
        return DoorRefused(status=400, text="user should be an extension, as cmd=accounts names them")
    return ClickToCall(key=f"onec-{uuid.uuid4()}", number=phone, user_id="", extension=user)

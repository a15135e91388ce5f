"""An adapter that has nobody to tell: the calls that the connector keeps are the journal."""

from __future__ import annotations

from collections.abc import Sequence

from crm_adapters.contract import CRMAdapter, Finding, FindingStatus, Priority, Save, Telling
from crm_adapters.errors import NotWanted
from crm_adapters.journal import DESCRIPTION
from crm_adapters.texts import marked as _


class Adapter(CRMAdapter):
    """The journal. It declares no capability, so nothing is ever queued for it."""

    description = DESCRIPTION

    def tell(
        self,
        tellings: Sequence[Telling],
        *,
        save: Save,  # noqa: ARG002 - nothing is done that could be saved
        priority: Priority,  # noqa: ARG002 - as above
        seconds: float,  # noqa: ARG002 - as above
    ) -> None:
        """There is nobody to tell: what a former CRM left behind stays here."""
        for telling in tellings:
            telling.error = NotWanted("the connection has no CRM")

    def check(self) -> list[Finding]:
        return [Finding(name="crm", status=FindingStatus.OK, text=_("The built-in journal keeps the calls."))]

"""The job ``audit-verify``: the audit trail is as it was written."""

from __future__ import annotations

from pacstui.audit.room import AuditRoom
from pacstui.errors import Corrupt
from pacstui.jobs.kinds import Kind, Outcome, Run
from pacstui.jobs.waiting import until_done
from pacstui.text import plural


def audit_kind(audit: AuditRoom) -> Kind:
    """Return the kind of job that verifies the audit trail."""

    async def work(run: Run) -> Outcome:
        verdict = await until_done(run, audit.verify())
        if verdict.flaws:
            for flaw in verdict.flaws:
                run.note(f"entries {flaw.first} to {flaw.last}: {flaw.text}", "fail")
            raise Corrupt(
                f"the audit trail is not as it was written, in {plural(len(verdict.flaws), 'place')}",
                "pacstui audit verify tells where; keep a copy of the data directory as it is",
            )
        return Outcome(f"{plural(verdict.entries, 'entry', 'entries')} as they were written")

    text = "Looks whether an entry of the audit trail was changed, removed or put in."
    return Kind("audit-verify", "verify the audit trail", text, work)

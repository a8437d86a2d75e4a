"""Many peers from a CSV file: first what it would do, then, if it is wanted, doing it."""

from __future__ import annotations

from collections.abc import Awaitable

from pacstui.contract.peers import PeerPlan
from pacstui.text import plural
from screens.sheet_import import SheetImportScreen, key


class PeerImportScreen(SheetImportScreen[PeerPlan]):
    """What a CSV file of peers would do."""

    TITLE_WORDS = "Import peers"
    ABOUT = (
        "Each line of the file and what it would do; mistakes come first. i does it, all or nothing; with a mistake in "
        "any line nothing is done. Peers that the file does not name stay as they are."
    )
    ACTION, WHAT, MADE, MAKES = "peers.import_csv", "peer", "added", "add"
    KEYS = key(ACTION)

    def call(self, text: str) -> Awaitable[PeerPlan]:
        plan: Awaitable[PeerPlan] = self.console_app.client.peers.import_csv(csv=text)
        return plan

    def done(self, plan: PeerPlan) -> None:
        self.console_app.say(f"imported: {plural(plan.changes, 'change')}, in effect now")

"""One database: the writer lane, the readers, migrations."""

from pacstui.db.database import Database
from pacstui.db.lane import Writer

__all__ = ["Database", "Writer"]

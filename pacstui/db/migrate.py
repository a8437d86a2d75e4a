"""``python -m pacstui.db.migrate DATABASE``: brings a database to the newest schema with Alembic."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(path: Path, revision: str = "head") -> None:
    """Run the migrations on the database at ``path`` up to ``revision``."""
    config = Config()
    config.set_main_option("script_location", "pacstui.db:migrations")
    config.attributes["path"] = path
    command.upgrade(config, revision)


if __name__ == "__main__":
    upgrade(Path(sys.argv[1]))

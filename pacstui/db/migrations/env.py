"""Alembic's entry: runs the migrations on the database that the caller names, in one transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

engine = sa.create_engine(f"sqlite:///{context.config.attributes['path']}", poolclass=sa.NullPool)

with engine.connect() as connection:
    context.configure(connection=connection, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()

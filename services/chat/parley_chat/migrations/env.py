"""What Alembic runs for chat's database; the connection comes from `parley_shared.sql.migrate`."""

from parley_shared.sql import run_migrations

run_migrations()

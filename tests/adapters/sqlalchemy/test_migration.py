"""Alembic finds the tables in the user's metadata, and afterwards finds nothing more to do."""

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from sqlalchemy import Connection, MetaData, text

from events_sqlalchemy import inbox_table, outbox_tables
from tests.adapters.sqlalchemy.shop import METADATA, Database

pytestmark = pytest.mark.anyio


async def test_nothing_is_left_to_migrate_when_the_tables_are_there(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_generated_migration_makes_the_tables_under_the_names_of_the_users_choice(database: Database) -> None:
    metadata = MetaData()
    outbox_tables(metadata, prefix="shop_")
    inbox_table(metadata, prefix="shop_")

    def migrate(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"include_object": _is_of_the_shop})
        script = produce_migrations(context, metadata)
        assert script.upgrade_ops is not None
        code = render_python_code(script.upgrade_ops)
        run(script.upgrade_ops, Operations(context))
        assert "create_table('shop_outbox'" in code
        assert "ix_shop_outbox_waiting" in code
        return list(compare_metadata(context, metadata))

    async with database.engine.begin() as connection:
        assert await connection.run_sync(migrate) == []
        await connection.execute(text("SELECT * FROM shop_inbox"))


def run(steps: ops.OpContainer, operations: Operations) -> None:
    """What the code of the migration would do."""
    for each in steps.ops:
        if isinstance(each, ops.OpContainer):
            run(each, operations)
        else:
            operations.invoke(each)


def _is_of_the_shop(_object: object, name: str | None, *_: object) -> bool:
    return name is None or "shop_" in name

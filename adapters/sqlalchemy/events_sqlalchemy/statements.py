"""The statements of a relay, the same on every database."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Delete,
    Executable,
    Select,
    SmallInteger,
    Table,
    Update,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from events_sqlalchemy.tables import PARKED, SENT, WAITING

__all__ = ["count_backlog", "let_go", "purge_sent", "refuse", "select_due"]

_BYTES: Final = 32 * 1024 * 1024
"""A batch ends with the event that makes it larger."""


def select_due(table: Table, *, by_lane: bool) -> Select[Any]:
    """The next batch: what is tried again or was scheduled, and what waits for its first try. `found` counts it before it is cut.

    Parameters: `now`, `limit`, `again` (the most of the former), and with `by_lane` an array of `lanes`.
    """
    row, before = table.alias("candidate"), table.alias("before")
    columns = row.c
    stands_behind = (
        select(before.c.position)
        .where(
            before.c.state == WAITING,
            before.c.failures > 0,
            before.c.topic == columns.topic,
            before.c.key == columns.key,
            before.c.position < columns.position,
        )
        .exists()
    )
    open_rows = select(row).where(columns.state == WAITING, ~stands_behind)
    if by_lane:
        open_rows = open_rows.where(columns.lane == any_(bindparam("lanes", type_=ARRAY(SmallInteger))))
    again = (
        open_rows.where(columns.due > 0, columns.due <= bindparam("now"))
        .order_by(columns.due, columns.position)
        .limit(bindparam("again"))
    )
    fresh = open_rows.where(columns.due == 0).order_by(columns.position).limit(bindparam("limit"))
    # Scheduled for a time before 1970: nobody means it, and it is due all the same.
    ancient = open_rows.where(columns.due < 0).order_by(columns.due, columns.position).limit(bindparam("limit"))
    arms = (select(each.subquery()) for each in (again, ancient, fresh))
    both = union_all(*arms).limit(bindparam("limit")).subquery()
    size = func.length(both.c.body)
    measured = select(
        both,
        (func.sum(size).over(order_by=both.c.position) - size).label("ahead"),
        func.count().over().label("found"),
    ).subquery()
    return select(measured).where(measured.c.ahead < _BYTES).order_by(measured.c.position)


def let_go(table: Table, *, keep: bool, as_array: bool) -> Delete | Update:
    """Delete what was sent, or with `keep` mark it; parameters: `positions`, and with `keep` the time, `at`."""
    if as_array:
        which = table.c.position == any_(bindparam("positions", type_=ARRAY(BigInteger)))
    else:
        which = table.c.position.in_(bindparam("positions", expanding=True))
    if keep:
        return update(table).where(which).values(state=SENT, sent=bindparam("at"), error=None)
    return delete(table).where(which)


def refuse(table: Table) -> Update:
    """Write down a refusal; parameters: `which`, and the new values. What was scheduled waits since it was due."""
    columns = table.c
    return (
        update(table)
        .where(table.c.position == bindparam("which"), table.c.state == WAITING)
        .values(
            state=bindparam("new_state"),
            due=bindparam("new_due"),
            failures=bindparam("new_failures"),
            error=bindparam("new_error"),
            since=case(((columns.failures == 0) & (columns.due > columns.since), columns.due), else_=columns.since),
        )
    )


def purge_sent(table: Table) -> Delete:
    """Delete what was sent before; parameters: `before`, `limit`."""
    old = select(table.c.position).where(table.c.state == SENT, table.c.sent < bindparam("before"))
    return delete(table).where(table.c.position.in_(old.limit(bindparam("limit"))))


def count_backlog(table: Table) -> Executable:
    """`waiting`, `scheduled`, `parked`, and `since` when the oldest waits; parameter: `now`."""
    columns = table.c
    # Partial indexes are found by words in the statement, not by its parameters.
    waits = columns.state == literal_column(f"'{WAITING}'")
    parked = select(func.count()).where(columns.state == literal_column(f"'{PARKED}'")).scalar_subquery()
    later = (columns.due > bindparam("now")) & (columns.failures == 0)
    scheduled = (columns.failures == 0) & (columns.due > columns.since)
    oldest = case((scheduled, columns.due), else_=columns.since)
    return select(
        func.count().filter(~later).label("waiting"),
        func.count().filter(later).label("scheduled"),
        parked.label("parked"),
        func.min(oldest).filter(~later).label("since"),
    ).where(waits)

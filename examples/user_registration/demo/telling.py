"""What a person sees."""

from collections.abc import Mapping
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from examples.user_registration.demo.mailbox import Mail
from examples.user_registration.demo.people import Visit
from examples.user_registration.demo.stage import Stage
from examples.user_registration.demo.totals import Totals

PROCESSES: Final = ("user_service", "relay", "email_service")


class Telling:
    """Tells the terminal, a line at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def title(self, title: str) -> None:
        self.say(f"\n{title}")

    def stage(self, stage: Stage) -> None:
        """Where everything is."""
        where = {"user_service": stage.url}
        for name in PROCESSES:
            self.say(f"started    {name:<15} pid {stage.services.pid(name):<8} {where.get(name, '')}".rstrip())

    def answer(self, visit: Visit) -> None:
        self.say(f"{visit.status}  {visit.person.name:<16} {visit.person.email:<26} {visit.detail}".rstrip())

    def mail(self, mail: Mail) -> None:
        self.say(f'mail to {mail.recipient:<26} "{mail.subject}"')

    def health(self, health: Mapping[str, Any]) -> None:
        outbox = health["outbox"]
        waits = f"{outbox['waiting']} events wait, the oldest for {outbox['oldest_waits']:.1f} s"
        self.say(f"/health: database {health['database']}, {waits}")

    def mails_so_far(self, stage: Stage) -> None:
        self.say(f"{stage.crowd.registered} people are registered, {len(stage.mails)} mails have come.")

    def totals(self, totals: Totals) -> bool:
        """The table and the verdict, which is returned."""
        table = Table(title="Totals", title_justify="left", box=box.SIMPLE_HEAD)
        columns = {
            "registered": totals.registered,
            "put into the outbox": totals.put,
            "sent by the relay": totals.sent,
            "in the inbox": totals.noted,
            "mails": totals.mails,
            "people mailed": totals.mailed,
        }
        for column in columns:
            table.add_column(column, justify="right")
        table.add_row(*(f"{count:,}" for count in columns.values()), "OK" if totals.matches else "MISMATCH")
        self._console.print()
        self._console.print(table)
        verdict = "OK: nothing lost, nothing sent twice." if totals.matches else "MISMATCH: see above."
        self.say(f"Totals {verdict}")
        return totals.matches

    def how_to_visit(self, stage: Stage, bus: str) -> None:
        """For a person with curl."""
        body = '{"name": "Ada", "email": "ada@example.org"}'
        self.say(f"\ncurl -i {stage.url}/users -H 'Content-Type: application/json' -d '{body}'")
        self.say(f"curl {stage.url}/health")
        self.say(f"\nAPI        {stage.url}/docs\nbus        {bus}\ndatabase   {stage.surroundings.users_database}")
        self.say("Mails are shown here. Ctrl-C ends it.\n")

import re
from dataclasses import dataclass, field
from typing import Final

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS: Final = re.compile(rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")


class InvalidEmailAddress(ValueError):
    """This is no e-mail address."""


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An e-mail address. Upper and lower case make no difference; how it was written is kept."""

    written: str = field(compare=False)
    folded: str = field(init=False, repr=False)
    """The same for all ways to write it."""

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.written):
            raise InvalidEmailAddress("an e-mail address looks like ada@example.org, in ASCII")
        object.__setattr__(self, "folded", self.written.lower())

    def __str__(self) -> str:
        return self.written

"""Run the Python blocks of a document as one program, and compare what they print with what it shows.

    python run_blocks.py README.md

A block fenced as `python` is run; when the next fenced block is a `text`, that is what it must print.
The blocks of a document share one namespace, as a reader would paste them one after the other.
"""

import difflib
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the line before its first."""

    language: str
    text: str
    line: int


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return [Block(found[1], found[2], document.count("\n", 0, found.start(2))) for found in FENCE.finditer(document)]


def programs(document: str) -> Iterator[tuple[Block, str | None]]:
    """Each Python block, with the output shown after it."""
    fenced = blocks(document)
    for index, block in enumerate(fenced):
        if block.language == "python":
            following = fenced[index + 1] if index + 1 < len(fenced) else None
            yield block, following.text if following and following.language == "text" else None


def run(block: Block, path: Path) -> str:
    """What the block prints; tracebacks show the line in the document."""
    code = compile("\n" * block.line + block.text, str(path), "exec", dont_inherit=True)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code, vars(sys.modules["__main__"]))  # noqa: S102 - the blocks are our own documents
    return printed.getvalue()


def main(path: Path) -> int:
    """Run a document; 1 when a block prints something else than the document shows."""
    for block, shown in programs(path.read_text(encoding="utf-8")):
        printed = run(block, path)
        if shown is not None and printed != shown:
            difference = difflib.ndiff(shown.splitlines(), printed.splitlines())
            sys.stderr.write(f"{path}:{block.line}: prints something else (- shown, + printed)\n")
            sys.stderr.write("\n".join(difference) + "\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""A topology as text, as Mermaid and as SVG."""

from events_core.cli.rendering.mermaid import as_mermaid
from events_core.cli.rendering.svg import as_svg
from events_core.cli.rendering.table import as_table

__all__ = ["as_mermaid", "as_svg", "as_table"]

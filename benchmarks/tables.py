"""Tables and sections as Markdown. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """One table; cells are text."""

    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def markdown(self) -> str:
        """The caption, and the table with columns in line."""
        widths = [max(len(row[n]) for row in (self.columns, *self.rows)) for n in range(len(self.columns))]
        lines = [_line(self.columns, widths), "|" + "|".join("-" * (w + 2) for w in widths) + "|"]
        return "\n".join([f"{self.caption}\n", *lines, *(_line(row, widths) for row in self.rows)])


@dataclass(frozen=True)
class Section:
    """What one benchmark has to say."""

    name: str
    tables: tuple[Table, ...]

    def markdown(self, ran_on: str) -> str:
        """All tables, below what they were measured on."""
        return "\n\n".join([ran_on, *(table.markdown() for table in self.tables)])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

"""The page of results: replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`, and leaves the rest."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def with_section(text: str, name: str, content: str) -> str:
    """The page with a new content of one section. Raises ValueError when it has no such section."""
    marked = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"the page has no section between <!-- {name} --> and <!-- /{name} -->")
    return marked.sub(lambda m: f"{m[1]}{content}\n{m[2]}", text, count=1)


def write_section(page: Path, name: str, content: str) -> None:
    """Rewrite one section of a file."""
    page.write_text(with_section(page.read_text(), name, content))

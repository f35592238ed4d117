"""Writes the Grafana dashboards of deploy/observability/grafana, so that they ask for nothing that is not measured.

Run by `make docs`; a test compares the files with what this writes to another folder, given as its argument.
"""

import json
import sys
from pathlib import Path

from dashboard_batch import batch_dashboard
from dashboard_endpoint import endpoint_dashboard
from dashboard_operator import operator_dashboard

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "observability" / "grafana"


def write(folder: Path) -> None:
    """A file for each dashboard."""
    for board in (batch_dashboard(), endpoint_dashboard(), operator_dashboard()):
        path = folder / f"{board['uid']}.json"
        path.write_text(json.dumps(board, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)

"""Starts the command of this folder: `python tests/cluster up --node`.

Its modules are imported as `cluster.…`, by this file as by the tests, so the folder above has to be on the path.
"""

import importlib
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    sys.exit(importlib.import_module("cluster.cluster_command").main())

"""A process that measures one thing: `python -m benchmarks.child MODULE JSON`, started by processes.py.

MODULE is one of `inside/` and has `measure`, which is called with the fields of JSON; what it returns is printed.
"""

import importlib
import json
import sys


def main() -> None:
    """Measure and print."""
    module, parameters = sys.argv[1:]
    print(json.dumps(importlib.import_module(f"benchmarks.inside.{module}").measure(**json.loads(parameters))))


if __name__ == "__main__":
    main()

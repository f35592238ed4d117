"""A process that measures one thing: `python -m benchmarks.child MODULE JSON`, started by processes.py.

MODULE is one of `inside/` and has `measure`, which is called with the fields of JSON; what it returns is printed.
"""

import importlib
import importlib.abc
import json
import sys

from llmbatch_worker.large_blocks import give_back_large_blocks

_OF_PANDAS = "with_pandas"


class _WithoutPandas(importlib.abc.MetaPathFinder):
    """pyarrow loads pandas wherever it is installed, for 60 MB. LLMBatch does not ask for it, and no pod has it."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out of what is measured", name=name)


def main() -> None:
    """Measure and print."""
    module, parameters = sys.argv[1:]
    if module != _OF_PANDAS:
        sys.meta_path.insert(0, _WithoutPandas())
        give_back_large_blocks()
    print(json.dumps(importlib.import_module(f"benchmarks.inside.{module}").measure(**json.loads(parameters))))


if __name__ == "__main__":
    main()

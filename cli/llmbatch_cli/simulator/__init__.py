"""An OpenAI-compatible endpoint that behaves badly on demand: for tests, benchmarks and rehearsals.

The flow of a request:
    server.py      routes; start and stop               (I/O)
    endpoint.py    one request: read, admit, wait, answer (I/O)
    asked.py       the body, validated; content.py its texts
    planning.py    its failure, its answers, its latency
      fate.py      which items fail and how; categories.py names the ways
      answers.py   the texts; prose.py, schema_sample.py and schema_strings.py make them up
      failures.py  categories as errors of the API; errors.py their shape
    limits.py      who is admitted; windows.py counts exactly
    bodies.py      the JSON of the four APIs
    delivery.py    answers on the wire, whole or broken  (I/O)
Beside it: settings.py (with durations.py) is what users choose, draws.py the chance that is not, stats.py
and control.py what they can see and change, command.py the command. All but the I/O modules are pure.
"""

from llmbatch_cli.simulator.categories import Category
from llmbatch_cli.simulator.draws import content_key
from llmbatch_cli.simulator.fate import fate
from llmbatch_cli.simulator.server import Simulator
from llmbatch_cli.simulator.settings import SettingsError, SimulatorSettings
from llmbatch_cli.simulator.stats import Stats

__all__ = ["Category", "SettingsError", "Simulator", "SimulatorSettings", "Stats", "content_key", "fate"]

"""A batch on this machine: plan, shards in one or several processes, finalize.

run.py        the stages, one after another     state.py    the plan of an earlier run, if it is the same batch
links.py      shards and replies for a worker   workers.py  workers in this process or in others
snapshot.py   what there is to show (pure)      display.py  shows it: rich, plain lines, JSON lines
telling.py    spans and metrics of the batch    numbers.py  what metrics tell (pure)
spending.py   what all runs have spent
told.py       what earlier runs have told       warned.py   warnings of telemetry, kept for the display
"""

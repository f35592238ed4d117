"""The command line: `llmbatch run`, `llmbatch plan`, `llmbatch simulate`.

main.py        the commands and their exit codes     manifest.py    YAML to a job, errors with lines
running/       a batch on this machine               plan_view.py   what `llmbatch plan` shows
simulator/     an endpoint that misbehaves           interrupts.py  SIGTERM as Ctrl-C
"""

"""Serves a GGUF model over an OpenAI-style API on 127.0.0.1 until it is stopped; started by demo.py.

Usage: demo_server.py MODEL.gguf NAME PORT SLOTS. Ends by itself when its standard input is closed, so that it cannot
outlive the demo.
"""

import os
import sys

from xllamacpp import CommonParams, Server  # type: ignore[import-untyped]

CONTEXT_PER_SLOT = 2048
MOST_THREADS = 8
ERRORS_ONLY = 1


def main(model: str, name: str, port: str, slots: str) -> None:
    """Serve until standard input ends."""
    params = CommonParams()
    params.model.path = model
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_parallel = int(slots)
    params.n_ctx = CONTEXT_PER_SLOT * int(slots)
    params.verbosity = ERRORS_ONLY
    # All cores would be faster on an idle machine, but many times slower beside other work: its threads spin.
    threads = max(1, min(MOST_THREADS, (os.cpu_count() or 1) - 1))
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

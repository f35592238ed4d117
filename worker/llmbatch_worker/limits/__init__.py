"""How fast and how much at once: everything that holds a request back.

pacing.py    spends a rate evenly (pure)            adaptive.py  finds the right concurrency (pure)
headers.py   Retry-After and x-ratelimit-* (pure)   estimate.py  tokens of a request before it is sent (pure)
gate.py      the one door that every request passes
"""

"""The coordinator: what worker pods talk to, over HTTPS, in the operator's event loop.

server → reporting, object_calls, result_calls → sending, objects → disk, ledger → names, ranges
It knows HTTP, TLS and a folder, and nothing of Kubernetes: who a caller is and what it is to do comes from the two
protocols in `desk`.
"""

"""A cluster full of batches without the pods: what `operator_load.py` puts on one operator.

crowd.py     makes the batches and plays their pods           workers.py    workers that only report
freshness.py what was reported, when it was shown (pure)  own_operator.py  the operator under load, a process
api.py       calls and watches of the API server              calls.py      the API server's audit log, counted
"""

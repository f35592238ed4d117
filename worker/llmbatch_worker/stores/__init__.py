"""Objects by name: where plan, claims, parts and outputs are kept, and where inputs are read.

protocol.py  what every store can do, and what opens one     uris.py     names of places (pure)
local.py     folders, through obstore                        remote.py   the coordinator's store, over its channel
mounted.py   the ConfigMap that a pod has as files        measured.py any of them, with a clock
"""

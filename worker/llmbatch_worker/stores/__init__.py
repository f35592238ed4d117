"""Objects by name: where plan, claims, parts and outputs are kept, and where inputs are read.

protocol.py  what every store can do, and what opens one     opening.py      opens stores by URI
uris.py      names of places (pure)                          patterns.py     names with wildcards (pure)
local.py     folders, through obstore                        volumes.py      folders on volumes of a cluster
cloud.py     S3, Google Cloud Storage, Azure                 cloud_words.py  what their errors mean (pure)
clients.py   ways to them, through obstore                   credentials.py  keys for them
ahead.py     reads a range ahead of its reader               unsaid.py       takes credentials out of texts (pure)
web.py       files of web servers                            troubles.py     patience with all of these
remote.py    the coordinator's store, over its channel       mounted.py      the ConfigMap that a pod has as files
measured.py  any of them, with a clock
"""

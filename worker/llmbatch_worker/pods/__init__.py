"""What a pod does: one stage of a batch, with its configuration in a file and its store at the coordinator.

halting.py    SIGTERM, from the first moment on          running.py  one stage from start to last words
setting.py    what the pod was given                     stages.py   plan, shard, finalize, run
places.py     stores by URI                              link.py     reports over HTTPS
words.py      what is left behind                        journal.py  the few lines of its log
telling.py    its telemetry
"""

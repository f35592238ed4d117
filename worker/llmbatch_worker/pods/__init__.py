"""What a pod does: one stage of a batch, its configuration in a file, its objects with the coordinator or elsewhere.

halting.py      SIGTERM, from the first moment on       running.py       one stage from start to last words
setting.py      what the pod was given                  stages.py        plan, shard, finalize, run, clean
places.py       stores by URI                           housekeeping.py  the place of outputs, working objects
link.py         reports over HTTPS                      store_watch.py   tells what stores wait for
words.py        what is left behind                     journal.py       the few lines of its log
telling.py      its telemetry                           deadline.py      gone before Kubernetes kills
pod.py, working.py: what stages work with, and how they ask
"""

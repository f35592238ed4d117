"""The operator: runs LLMBatches on Kubernetes. Decides in pure functions, acts through one client.

    main.py        the process: kopf, settings, logging      handlers.py    what the watches deliver
    runtime.py     puts the parts together                   workqueue.py   which batches want a look
    cache.py       batches, Jobs, pods as the watches tell   facts.py       what is remembered of Jobs and pods
    reconcile.py   one look: gather → decide → act → write   gather.py      what a decision looks at
    written.py     what was done for a batch
    decide.py      the state machine, with ending.py (why a batch ends early) and blocked.py (what is in its way)
    observed.py    the values that go in and come out        status_of.py   the status, with tallies.py
    events.py      its Events                                alerts.py      when to raise an alarm
    jobs.py        Jobs, ConfigMap and Secret of a batch     kube.py        calls to the API server
    pod_environment.py, pod_telemetry.py, pod_volumes.py: the variables of a pod, and what it mounts
    places.py      where working objects and outputs are     leftovers.py   what deleted batches leave in stores
    session.py     what the workers of a batch say           sessions.py    of all batches; the coordinator's desk
    endpoints/     LLMEndpoints: what batches are given of them, and their status
    endpoint_marks.py, replacing.py: which pods ask another endpoint than they should
    coordinator/   HTTPS: reports, the built-in store, results
    notify/        webhooks: what is told, and telling it
    telemetry/     spans and metrics of batches and of itself; /metrics
    authority.py   the coordinator's keys, kept in a Secret  settings.py    environment variables

Imports go from main down to facts; nothing here imports the worker or the command line.
"""

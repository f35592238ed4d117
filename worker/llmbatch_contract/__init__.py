"""What the operator, the worker and the command line share: words, not deeds.

    spec.py        the LLMBatch manifest, as typed models       validation.py  its errors as sentences
    job.py         one planned batch, as a worker is given it   plan.py        shards: byte ranges of the input
    records.py     lines of results and errors                  categories.py  why an item failed; the rule for each
    usage.py       tokens and what they cost                    latency.py     mergeable percentiles
    reports.py     what a worker tells, what it is told         sharing/       who may send how much (pure)
    progress.py    counts of a batch, merged from reports       exits.py       exit codes
    pace.py        how fast, and how long still                 status.py      where a batch stands on a cluster
    layout.py      names of objects in the store                errors.py      every error a user can meet
    pods.py        what pods are given and leave behind         wire.py        the coordinator's HTTP paths
    cel.py         rules of the manifest for the API server

The larger parts of the manifest: endpoint.py, input.py, request.py, pod_template.py; import them from spec.py.

Nothing here does I/O or imports the worker, the operator, an HTTP or a Kubernetes client.
"""

__version__ = "0.1.0"

"""`kubectl llmbatch`: batches on a cluster, from the command line. Speaks to the cluster by running `kubectl`.

main.py         the commands                           options.py      -n, --context, --kubeconfig on every command
kubectl.py      runs kubectl                           refusals.py     what kubectl says, as errors (pure)
batches.py      an LLMBatch as its reader sees it      json_stream.py  JSON documents one after another (pure)
status_view.py  a batch, or many, as lines (pure)      words.py        numbers and times for people (pure)
watching.py     changes of a batch, as they come       screen.py       shows lines: on a terminal by rich
results.py      outputs of a finished batch            download.py     to a file or stdout; some of the dead letters
places.py       where an output is (pure)              changes.py      cancel, suspend, resume
retry.py        a new manifest from an old one (pure)  retrying.py     creates it

It is quick to import, as a plugin starts anew for each command: no pydantic, and rich only on a terminal.
"""

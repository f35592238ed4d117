"""The engine: plans an input, works on shards, finalizes. Knows nothing of Kubernetes.

    planning/     one pass over the input: check, count, cut into shards      inputs/     bytes to items
    finalizing/   parts to outputs, and the proof that nothing is missing     stores/     objects by name

A shard is worked on by these, in the order in which an item meets them:

    engine.py     puts the parts together, ends them in order
    feed.py       items that still need an answer, read ahead                 shardlog.py what is written of a shard
    pool.py       requests in flight, and those that wait for a retry         judging.py  what becomes of an attempt
    asking.py     item to request     templates.py  schema.py  apis.py (pure)
    limits/       how fast and how much at once                               client.py   HTTP to the endpoint
    classify.py   response to answer or failure (pure)                        retry.py    whether to ask again (pure)
    work.py       the item's record (pure)                                    events.py   what happened, for listeners
    recorder.py   records to parts
    link.py       the conversation with the coordinator                       progress_keeper.py  counts, from events
    observing/    spans and metrics, from events

It runs inside `llmbatch run`, or as a process of its own (__main__.py):

    piped.py  pipe.py   a child of `llmbatch run --workers N`
    pods/               a pod: one stage of a batch          channel.py  patience.py   HTTPS to the coordinator
"""

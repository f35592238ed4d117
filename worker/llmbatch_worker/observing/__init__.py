"""What the engine tells of its work: spans and metrics, made from its events. Nothing in the engine waits for it.

observer.py     what the engine holds: puts together what is wanted, nothing where nothing is
span_keeper.py  which items get spans, and the spans of shards         sampling.py   the choice (pure)
item_spans.py   an item and its attempts as spans (pure)               contents.py   its words as JSON (pure)
calls.py        whom an item asks: provider, model, address (pure)     providers.py  providers by host (pure)
stage_spans.py  a shard, plan or finalize as a span (pure)             measuring.py  events as metrics
gauges.py       what there is at the moment                            timed_link.py how long reports take
"""

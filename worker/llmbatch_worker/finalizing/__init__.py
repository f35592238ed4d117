"""Turns parts into outputs, in input order, and proves that every item is in exactly one of results and errors.

finalizer.py  the pass over the shards     outputs.py    results as jsonl, csv, openai
gathering.py  one shard's records          summary.py    the record of the job (pure)
report.py     what a page shows (pure)     timeline.py   counts over time (pure)
                                           histories.py  attempts at shards
"""

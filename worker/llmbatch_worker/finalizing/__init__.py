"""Turns parts into outputs, in input order, and proves that every item is in exactly one of results and errors.

finalizer.py   the pass over the shards           owning.py         whose place an output is
gathering.py   one shard's records                cleaning.py       removes working objects
reading_ahead.py  the next shards meanwhile       names.py          of the outputs (pure)
shard_lines.py    records in memory, or a file    columns.py        of results (pure)
layouts.py     one object, or one for each shard  outputs.py        the form that was asked for
packers.py     gzip and zstd                      forms.py          what a form is
summary.py     the record of the job (pure)       text_forms.py     jsonl, csv, openai (pure)
report.py      what a page shows (pure)           parquet_form.py   rows in groups
timeline.py    counts over time (pure)            parquet_types.py  types of columns
histories.py   attempts at shards                 delivery.py       results for a webhook
"""

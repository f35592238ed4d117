"""One pass over the input: check every item, count, and cut it into shards.

planner.py    makes the plan                          gathering.py      the pass, put together
form.py       how an input is written                 batches.py        what is passed on
text_items.py parquet_items.py                        the items of an input, whatever it is made of
selection.py  where, limit, sample                    copying.py        items as JSON lines, for shards to read
choices.py    read where it is, or copied (pure)      marks.py groups.py  where shards are cut (pure)
ids.py spill.py  exact search for equal ids           survey.py         fields, templates and tokens of the items
digests.py    which input it was                      apart.py         no output in the input (pure)
"""

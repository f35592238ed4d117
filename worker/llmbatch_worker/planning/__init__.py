"""One pass over the input: check every item, count, and cut it into shards.

planner.py  the pass                       marks.py   where shards may be cut (pure)
ids.py      exact search for equal ids     survey.py  fields, templates and tokens of the items
"""

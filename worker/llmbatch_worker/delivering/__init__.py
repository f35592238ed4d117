"""Delivers results to `spec.deliver.url` when they are written; `docs/deliver.md` is the page for receivers.

    deliverer.py    request after request, some at once     requests.py     results cut into requests (pure)
    posting.py      one request, tried again and again      trying.py       when to try again (pure)
    marks.py        how far it has come, in the store       undelivered.py  what was given up

Called by finalize, which gives the results and knows where they come from. At least once: what a mark does not tell of
is posted again after a restart, with the same id. Nothing here changes what becomes of a batch.
"""

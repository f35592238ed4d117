"""Reads what a batch has written: whole outputs, and the records of finished shards before that.

objects    outputs in one place, compared with the digests in summary.json; used by both commands
stored     that place, if it is a store or a folder (kubectl has another: the built-in store, through the API server)
partial    records of finished shards
joining    many objects as one
download   to stdout, a file or a folder
"""

"""LLMEndpoints: endpoints that many batches share.

known.py                the endpoints there are, as the watch tells
changes.py              what a change of one means for those that use it
resolving.py            a batch and its endpoint → what its pods ask, or what is in the way
endpoint_status.py      the status of an endpoint
endpoint_conditions.py  its conditions, and Events about them
keeping.py              writes all that, every few seconds
"""

"""What the operator tells of batches and of itself: spans, metrics, the page that Prometheus reads.

    recorder.py    what the rest of the operator calls when something has happened
    batch_spans.py spans of batches, of looks, of pods that died
    series.py      the numbers of batches, as their statuses have them      failures.py  failed items by category
    about.py       what is remembered of a batch                            holds.py     what holds it, alarms, budget
    endpoints.py   the numbers of LLMEndpoints, and what batches have of theirs
    exposition.py  points in the formats of Prometheus                      page.py      serves them

Nothing here decides anything about a batch, raises, or waits for a collector.
"""

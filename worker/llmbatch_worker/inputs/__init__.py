"""Reads inputs as items, in ranges of bytes, never whole in memory.

source.py        opens an input: plain, gzip, inline      detect.py  which format it is
dead_letters.py  what failed in another batch
lines.py         blocks of bytes to lines                 rows.py    one item and where it stands; its id
jsonl.py  csv_rows.py  openai_batch.py                    the formats
reading.py       picks the format's reader
"""

"""Reads inputs as items, in ranges of bytes or rows, never whole in memory.

objects.py       which objects an input has           source.py     their bytes in order; inline items
detect.py        which format they have               unpacking.py zstd_frames.py   gzip and zstd
ahead.py         small objects in time                downloaded.py  one whose server has no ranges
dead_letters.py  what failed in another batch         selecting.py comparing.py     which items are taken
lines.py         blocks of bytes to lines             rows.py       one item and where it stands; its id
jsonl.py  csv_rows.py  openai_batch.py                the formats of text
parquet_rows.py  Parquet: the footer, the values and the file that pyarrow reads are in files beside it
reading.py       a planned input again, shard by shard
"""

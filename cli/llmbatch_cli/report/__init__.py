"""One page about a finished batch, made of `summary.json` and `report.json`. Pure: from two documents to HTML.

page.py      the whole page            markup.py    HTML that escapes what it is given
outcome.py   how it ended, key figures charts.py    charts as SVG          script.js   values under the pointer, theme
over_time.py progress, rates, latency  axes.py      scales and ticks       style.css   light, dark, print, phone
failures.py  errors with samples       series.py    buckets of time        wording.py  numbers and times for people
spending.py  tokens and cost           shards.py    attempts as a timeline
slowest.py   slowest items             question.py  what was asked
pauses.py    when nothing was answered
"""

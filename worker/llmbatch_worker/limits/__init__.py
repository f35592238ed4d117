"""How fast and how much at once: everything that holds a request back.

gate.py      the one door that every request passes; all others are pure

rates.py     what may be sent a minute, and what is
pacing.py    spends a rate evenly                         adaptive.py    finds the right concurrency
minute.py    what a minute holds, corrected               estimate.py    tokens of a request before it is sent
largest.py   the largest request of late                  headers.py     Retry-After and x-ratelimit-*
lease.py     how long a grant holds without a word        purse.py       what may be spent of a budget
probing.py   who asks while the endpoint is down          clock.py       the clock of all of them

For reports: recent.py (what is used), demands.py (what could be), push_backs.py (what was refused) and troubles.py
(whether the endpoint answers at all).
"""

"""Who may use how much of an endpoint, and how much of a budget.

endpoint_shares.py  one endpoint: reports in, shares out    facts.py         values that go in and come out
division.py         who should have how much                fairness.py      weighted max-min
turns.py            who goes first where it is too little   amounts.py       four limits side by side
ledger.py           what each may be using; leases          steady.py        a clock that never leaps
found_limits.py     limits shown by pushing back            bursts.py        which push-backs are news
outages.py          down, and who asks                      budget.py        allowances of a batch
summing.py          facts for status and metrics        demand.py        what each will use
"""

from llmbatch_contract.sharing.budget import BudgetAccount
from llmbatch_contract.sharing.endpoint_shares import EndpointShares
from llmbatch_contract.sharing.facts import Amounts, BatchShare, EndpointFacts, Member, Share

__all__ = ["Amounts", "BatchShare", "BudgetAccount", "EndpointFacts", "EndpointShares", "Member", "Share"]

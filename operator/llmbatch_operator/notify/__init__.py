"""Webhooks: tells the addresses in `spec.notify` how a batch goes. `docs/notify.md` is the page for receivers.

    occasions.py   what there is to tell, from the status      payload.py   the message
    outbox.py      what is to be delivered, and when           addresses.py where nothing is sent to
    signing.py     the Secret with a namespace's key
    posting.py     delivers; the only one that waits for anything

Signatures, and what a receiver's answer means, are the contract's: results are delivered by them, too.

What is due follows from the status: what it tells of, less what its `deliveries` say. So a restart loses nothing, and a
delivery may come twice, never be forgotten. Nothing here holds up a look at a batch or changes how it goes.
"""

"""Two hundred workers on one limit, in simulated time: what `sharing.py` runs.

scene.py      who asks how much of what              endpoint.py   the endpoint, which enforces its limits strictly
worker.py     one worker: the engine's gate and reports, with questions that are never sent anywhere
trial.py      the whole scene, in one of three ways  figures.py    what came of it (pure)
simulated_time.py  an event loop whose clock jumps to what happens next
"""

"""Every transition of a job: a start, an end, the controller's view, and a client's patch.

One module per kind of event. Each takes the stored job and the incoming data and returns what to
write. Nothing is written here, so that a caller can lock, decide and save in one transaction.

Messages may come twice, late or out of order. A requeue begins a new run of the same job. Only a
source of higher precedence changes how a run ended. See docs/adr/0006.
"""

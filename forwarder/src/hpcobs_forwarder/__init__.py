"""hpcobs-forwarder: reads what jobs use on a Slurm node and sends it to an hpcobs site.

Standard library only. Records are named tuples, not dataclasses: importing ``dataclasses`` alone
costs 2 MiB of resident memory on every node.
"""

__version__ = "0.1.0"

"""hpcobs-forwarder: samples the resource use of jobs on a Slurm node and sends it to a site.

Standard library only. Records are named tuples, not dataclasses: importing ``dataclasses`` alone
costs 2 MiB of resident memory on every node.
"""

__version__ = "0.1.0"

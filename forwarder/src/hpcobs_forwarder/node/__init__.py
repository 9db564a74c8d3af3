"""The node role: samples of the jobs on this node, from their cgroups, /proc and the GPUs."""

"""Jobs, nodes and samples, and the rules by which they change. Standard library only."""

"""The parts of a site, each a construct with keyword arguments; ``infra.stack`` composes them."""

"""The parts of a site: constructs with keyword arguments that ``infra.stack`` composes."""

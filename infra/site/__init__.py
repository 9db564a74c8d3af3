"""A site: its file as typed models, how much hardware it needs, and what it costs a month."""

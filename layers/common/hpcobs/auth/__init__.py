"""Authentication: bearer tokens, the principals that they name, and the keys that sign them."""

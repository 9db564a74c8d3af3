"""Who calls: bearer tokens, the principals that they name, and the secret that signs them."""

"""Jobs, their series and their audit trail, health and the contract, and unmatched requests."""

"""Jobs, their series and their trail; health and the contract; and what matches no route."""

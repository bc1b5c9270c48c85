"""The sample trade log: closed trades of published rules on real prices, and the scripts that make
it."""

"""What the learners change and whether it would have helped, from the closed trades.  Reads the
log, writes nothing."""

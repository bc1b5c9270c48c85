"""What the learners change and whether it would have helped, told from the closed trades
themselves.  Reads the log, writes nothing."""

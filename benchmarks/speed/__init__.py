"""Speed of the core and of the position manager's look-up, against targets and against obvious
peers in the same run."""

"""Speed of the core and of the position manager's look-up, compared with targets and with obvious
peers in the same run."""

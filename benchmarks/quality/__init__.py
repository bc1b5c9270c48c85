"""Worlds whose truth is known, streamed through the learning core: what it finds, what it makes up,
and what its sizing is worth.

One file each: `truth` (a world and what is true in it), `noise` and `scaffold` (what worlds are
made of), `months`, `years` and `dense` (the families, which `registry` names and `worlds`
collects), `oracle` (what could be known), `score` (one cut of one world), `run` (a world through
the core), `figures` (sums of scores to the targets), `plots`, and `__main__` (the command).

May touch: nothing.
"""

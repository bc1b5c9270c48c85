"""Worlds whose truth is known, streamed through the learning core: what it finds, what it finds
falsely, and what its sizing is worth.

The files: `truth` (a world and what is true in it), `noise` and `scaffold` (the parts of worlds),
`months`, `years` and `dense` (the families, which `registry` names and `worlds` collects), `oracle`
(the best that can be known), `score` (one cut of one world), `run` (a world through the core),
`figures` (from scores to the figures with targets), `plots`, and `__main__` (the command).

May touch: nothing.
"""

"""Read trade logs of other programs, and our own, as closed positions: each line, row or trade
becomes one `position_closed` event.  `read.py` is the entry point, and chooses the adapter.

May touch: the files it is given (read only).  Values that cannot be mapped are passed on unchanged,
so that input validation rejects them with a reason and a path; nothing is dropped here.
"""

from app.sources.notes import Notes
from app.sources.read import KINDS, Closed, closes

__all__ = ["KINDS", "Closed", "Notes", "closes"]

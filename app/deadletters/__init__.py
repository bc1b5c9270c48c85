"""Dead letters: show rejected closes, and resend those that have become valid.

`app/stages/dead_letter.py` writes them.

May touch: `letters` reads the broker; `redrive` reads it and writes `position_closed`; `marking`
nothing.
"""

from app.deadletters.letters import Letter, Wanted

__all__ = ["Letter", "Wanted"]

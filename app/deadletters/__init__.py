"""Dead letters: what the door refused, to be looked at, and to be sent again when it has become
valid.

May touch: `letters` reads the broker; `redrive` reads it and writes `position_closed`; `marking`
nothing.
"""

from app.deadletters.letters import Letter, Wanted

__all__ = ["Letter", "Wanted"]

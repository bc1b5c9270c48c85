"""The Faust agents: which topic feeds which stage, and where results go.

May touch: nothing on import.  `attach` adds an agent to the app.
"""

"""The Faust agents: which topic goes into which stage, and where what it makes goes.

May touch: nothing when they are imported.  `attach` puts an agent on the app.
"""

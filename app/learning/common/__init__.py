"""What both learning methods use: settings and event time, a group's window, its segments,
baselines, and what differs from before.

May touch: nothing but its arguments.  Imports neither `app.learning.classic` nor
`app.learning.integrated`.
"""

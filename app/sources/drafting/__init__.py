"""The parts of drafting a mapping: columns with their contents, fields, rows that count, readings
that add up, and questions.

May touch: nothing; `app.sources.draft` reads the table.
"""

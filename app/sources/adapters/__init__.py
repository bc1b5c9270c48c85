"""Adapters: a file for each format of another program, which reads it as closes.

May touch: the files it is given (read only).

A new adapter goes here, and is chosen in `app/sources/read.py`.  Tables of brokers, platforms and
exchanges need none: a mapping describes their columns.
"""

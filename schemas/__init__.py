"""The contract with the outside: the records of every topic, and the documents generated from them.

May touch: nothing of ours but `edgeloop`, which has the override record and the canonical forms.
Everything else in the project may import it.
"""

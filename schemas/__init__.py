"""The contract with the outside: the records of every topic, identity (keys, scopes, ids) and the documents made from them.

May touch: nothing of ours.  Everything else in the project, and users' own programs, may import it.
"""

SCHEMA_VERSION = 1
"""Version that every record written by this release carries as `schema_version`."""

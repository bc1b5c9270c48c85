"""Dead letters: closes that cannot become facts, kept in `position_closed.dlq`.

| file | what |
|---|---|
| `write.py` | the letter that ingest writes |
| `read.py` | read and filter them, and validate them again |
| `marking.py` | show the value with the invalid part marked |
| `redrive.py` | resend those that have become valid |
| `approve.py` | approve those that wait for it, and resend them |

May touch: `write` and `marking` nothing; `read` reads the broker; `redrive` and `approve` also
write `position_closed`, and `approve` the control log.
"""

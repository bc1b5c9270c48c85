"""What the agents do, stage by stage, without Faust: settings and records in, records out.

May touch: nothing but their arguments, save for the projector, which reads the derived topics and
writes PostgreSQL.

| file | stage | from | to |
|---|---|---|---|
| `ingest.py` | ingest | closes | facts, or a dead letter |
| `lessons.py` | lesson_builder | facts | lessons |
| `edge_history.py` | lesson_builder | lessons | the days of their histories |
| `judgement.py` | override_materializer | lessons | overrides, verdicts, what was learned |
| `projector.py` | projector | every derived topic | tables |
"""

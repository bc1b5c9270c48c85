"""The work of the agents, stage by stage, without Faust: settings and records in, records out.

May touch: nothing but their arguments, except `ingest`, which sends and reads the control log, and
the projector, which reads the derived topics and writes PostgreSQL.

| file | from | to |
|---|---|---|
| `ingest.py` | closes | sends what `facts_or_letters.py` makes of them, and retries |
| `facts_or_letters.py` | closes | facts, or a dead letter (`app/deadletters/write.py`) |
| `admission.py` | the groups of a close | whether they are within the quotas |
| `lesson_builder.py` | facts | lessons; folds them also in helper processes |
| `refit_schedule.py` | groups with new trades | which of them are refitted, and when |
| `refit_fairness.py` | groups that wait for a refit | their order |
| `rewrites.py` | corrections of known trades | an alert when there are many |
| `edge_history.py` | lessons | the days of their histories |
| `override_materializer.py` | lessons | overrides, verdicts, what was learned |
| `projector.py` | every derived topic | tables |

`app.ownership` feeds `lesson_builder.py` and `override_materializer.py` through the interface in
`owned.py`.  All waiting times are in `pace.py`, the metrics of both in `gauges.py`.
"""

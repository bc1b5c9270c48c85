"""The Faust app that `faust -A app` runs: settings from the environment, the chosen agents, health.

May touch: the environment (once); the broker and a listening socket once a worker starts.  This is
the only module that reads settings or registers anything when it is imported.
"""

from __future__ import annotations

from app.kafka.shared_offsets import SharedOffsets
from app.settings import AGENTS, Settings
from app.worker import process
from app.worker.agreement import AgreementGuard
from app.worker.broker_away import BrokerWatch
from app.worker.garbage import Garbage
from app.worker.health import Health
from app.worker.lag_watch import LagWatch
from app.worker.log_guard import Guard
from app.worker.watchdog import Watchdog

settings = Settings.from_environment()
app = process.make_app(settings, [f"agents.{name}" for name in AGENTS if name in settings.agents])
shared_offsets = SharedOffsets(settings)
guard = Guard(app, settings, shared_offsets)
agreement = AgreementGuard(app, settings)
broker_watch = BrokerWatch(app, settings)
watchdog = Watchdog(app, settings, shared_offsets)
lag_watch = LagWatch(app, settings, shared_offsets)
health = Health(app, settings, guard, watchdog)
garbage = Garbage(app)

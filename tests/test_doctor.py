"""`doctor` runs its checks concurrently."""

from __future__ import annotations

import asyncio

import pytest

from app import doctor
from app.doctor import Finding
from app.settings import Settings

ONE = ("_broker", "_topics", "_log", "_published", "_lag", "_clock", "_database")
SEVERAL = ("_control", "_projection")


async def test_no_check_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check ends only when all have begun, as with a broker that does not answer."""
    all_of_them = asyncio.Barrier(len(ONE) + len(SEVERAL))

    async def one(_: Settings) -> Finding:
        await all_of_them.wait()
        return Finding("one", True, "")

    async def several(_: Settings) -> list[Finding]:
        return [await one(_)]

    for name in ONE:
        monkeypatch.setattr(doctor, name, one)
    for name in SEVERAL:
        monkeypatch.setattr(doctor, name, several)
    found = await asyncio.wait_for(doctor.examine(Settings()), 20)
    assert len(found) == 10

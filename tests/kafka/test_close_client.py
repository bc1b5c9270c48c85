"""A Kafka client is closed, whatever happens to its caller."""

from __future__ import annotations

import asyncio

import pytest

from edgeloop.close_client import close_client


class Client:
    """A client that leaves its group once the broker answers."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.stopping = asyncio.Event()
        self.left = False

    async def stop(self) -> None:
        self.stopping.set()
        await self.answer.wait()
        self.left = True


async def test_a_client_is_closed_although_its_caller_is_cancelled() -> None:
    client = Client()
    caller = asyncio.ensure_future(close_client(client))
    await client.stopping.wait()
    caller.cancel()
    asyncio.get_running_loop().call_soon(client.answer.set)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert client.left


async def test_a_second_cancellation_ends_the_wait() -> None:
    client = Client()
    caller = asyncio.ensure_future(close_client(client, 60))
    await client.stopping.wait()
    caller.cancel()
    done, _ = await asyncio.wait({caller}, timeout=0.05)
    assert not done
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(caller, 10)
    assert not client.left


async def test_a_client_that_cannot_be_closed_is_given_up() -> None:
    client = Client()
    await close_client(client, 0.05)
    assert client.stopping.is_set()
    assert not client.left

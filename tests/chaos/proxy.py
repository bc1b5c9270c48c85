"""A TCP proxy that can delay data, cut connections, and stop forwarding.

May touch: one loopback port that it listens on, and connections to the address that it is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType

PIECE_BYTES = 65_536


class Proxy:
    """Forwards `127.0.0.1:port` to `127.0.0.1:target`, in a thread of its own, during the `with`
    block."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.delay_s = 0.0
        self.passed_bytes = 0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows: asyncio.Event | None = None
        self._stop: asyncio.Event | None = None
        self._listening = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._listening.wait(10), "the proxy does not listen"
        if self._problem is not None:
            raise self._problem
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def cut(self) -> None:
        """End every connection at once, in the middle of any data; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._cut)

    def hold(self) -> None:
        """Silently stop forwarding, on old and new connections."""
        assert self._flows is not None
        self._loop.call_soon_threadsafe(self._flows.clear)

    def release(self) -> None:
        """Forward the waiting data, and all that follows."""
        assert self._flows is not None
        self._loop.call_soon_threadsafe(self._flows.set)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._problem = error
        finally:
            self._listening.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._flows, self._stop = asyncio.Event(), asyncio.Event()
        self._flows.set()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self._listening.set()
        await self._stop.wait()
        server.close()
        self._cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(there)
            ways = [
                asyncio.create_task(self._pass(reader, there)),
                asyncio.create_task(self._pass(back, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the broker is down: the client sees its connection end
        except asyncio.CancelledError:
            pass  # the proxy ends; a handler of asyncio's server may not end so
        finally:
            for end in (writer, there):
                if end is not None:
                    self._open.discard(end)
                    end.close()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._flows is not None
        with contextlib.suppress(OSError):  # a connection that ended, on either side
            while piece := await reader.read(PIECE_BYTES):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(piece)
                self.passed_bytes += len(piece)
                await writer.drain()

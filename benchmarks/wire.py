"""A line as long as one wants it: passes bytes on after a delay, in both directions."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_HOST: Final = "127.0.0.1"
_LARGEST_PIECE: Final = 2**18


class DelayedLine:
    """Listens on loopback and passes on to an upstream. Use it as a context manager.

    Each piece arrives `delay_s` after it was sent, and others travel behind it meanwhile: the line is long, not slow.
    To open a connection takes one way there and one back, before the first byte goes.
    """

    def __init__(self, upstream: str, delay_s: float) -> None:
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._delay = delay_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        """Its own address."""
        return f"http://{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._accepted, _HOST, 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ended(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._delay)
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._passed_on(reader, up_writer), self._passed_on(up_reader, writer))

    async def _passed_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        receiving = asyncio.create_task(self._received(source, pieces))
        piece = b"."
        while piece:
            due, piece = await pieces.get()
            await asyncio.sleep(due - self._loop.time())
            target.write(piece)
            await target.drain()
        await receiving
        target.close()

    async def _received(self, source: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        piece = b"."
        while piece:
            try:
                piece = await source.read(_LARGEST_PIECE)
            except ConnectionError:
                piece = b""
            pieces.put_nowait((self._loop.time() + self._delay, piece))

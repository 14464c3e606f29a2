"""A server process with the writer, the lane and the ping door, for tests that kill it: DATA PORT."""

from __future__ import annotations

import asyncio
import sys

from mainstay.frames.boot import load_settings, migrate, start_django


def main(data: str, port: int) -> None:
    settings = load_settings(data=data, pings_kept=1_000_000)
    start_django(settings)
    migrate()

    import uvicorn

    from mainstay.heartbeats.doors.pings import PingApp
    from mainstay.heartbeats.lane import HeartbeatLane
    from mainstay.kernel.clock import SystemClock
    from mainstay.store.writer import Writer

    async def serve() -> None:
        writer = Writer()
        lane = HeartbeatLane(settings, writer, SystemClock())
        await lane.start()
        app = PingApp(writer, lane.directory, settings)
        config = uvicorn.Config(app, port=port, lifespan="off", access_log=False, log_level="error")
        await uvicorn.Server(config).serve()

    asyncio.run(serve())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

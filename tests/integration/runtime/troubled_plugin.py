"""A plugin that gets into every kind of trouble, as its configuration says; run as a script."""

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from kong_plugins._runtime.main import run
from llm_core.errors import RateLimited

NAME = "troubled"
VERSION = "1.2.3"
PRIORITY = 77
SCHEMA = (
    {"trouble": {"type": "string", "default": "none"}},
    {"event_deadline_ms": {"type": "integer"}},
    {"marks": {"type": "string", "description": "A file that is written to, line by line."}},
)
SECRET = "sk-never-to-be-seen"


class Plugin:
    """Its phases do what `trouble` names."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.trouble = config.get("trouble", "none")
        self.marks = config.get("marks")
        if self.trouble == "no_birth":
            raise RuntimeError(SECRET)

    async def access(self, kong: Any):
        await self.get_into_trouble(kong)

    async def response(self, kong: Any):
        await self.get_into_trouble(kong)

    async def log(self, kong: Any):
        await self.get_into_trouble(kong)

    async def close(self):
        self.mark("closed")

    def mark(self, text: str):
        if self.marks:
            with Path(self.marks).open("a") as file:
                file.write(text + "\n")

    async def get_into_trouble(self, kong: Any):
        await getattr(self, "do_" + self.trouble)(kong)

    async def do_none(self, kong: Any):
        pass

    async def do_raise_first(self, kong: Any):
        raise ValueError(SECRET)

    async def do_raise_between(self, kong: Any):
        await kong.request.get_header("one")
        try:
            raise KeyError(SECRET)  # noqa: TRY301
        except KeyError:
            raise ValueError(SECRET) from None

    async def do_raise_after(self, kong: Any):
        await kong.request.get_header("one")
        await kong.request.get_header("two")
        raise RuntimeError(SECRET)

    async def do_raise_refusal(self, kong: Any):
        raise RateLimited("Slow down.", retry_after_s=1.2)

    async def do_raise_untellable_refusal(self, kong: Any):
        class Untellable(RateLimited):
            headers = {"x-odd": object()}  # noqa: RUF012

        raise Untellable("Slow down.", retry_after_s=1)

    async def do_raise_refusal_in_group(self, kong: Any):
        async with asyncio.TaskGroup() as group:
            group.create_task(self.do_raise_refusal(kong))
            group.create_task(asyncio.Event().wait())

    async def do_sys_exit(self, kong: Any):
        sys.exit(3)

    async def do_cancel_itself(self, kong: Any):
        raise asyncio.CancelledError

    async def do_exit(self, kong: Any):
        try:
            await kong.response.exit(418, "teapot", {"x-tea": "green"})
            self.mark("went on after exit")
        except Exception:  # noqa: BLE001
            self.mark("caught the end")
        finally:
            self.mark("finally")

    async def do_exit_unawaited(self, kong: Any):
        kong.response.exit(403, headers={"x-reason": "none"})
        self.mark("went on after exit")

    async def do_exit_swallowed(self, kong: Any):
        try:
            await kong.response.exit(401)
        except BaseException:  # noqa: BLE001
            await kong.request.get_header("after")

    async def do_exit_unpackable(self, kong: Any):
        await kong.response.exit(200, {"x": object()})

    async def do_call_unpackable(self, kong: Any):
        await kong.ctx.shared.set("x", object())

    async def do_sleep_for_ever(self, kong: Any):
        try:
            await asyncio.Event().wait()
        finally:
            self.mark("cancelled")

    async def do_swallow_cancellation(self, kong: Any):
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        await kong.request.get_header("late")
        self.mark("a call after the deadline")

    async def do_block(self, kong: Any):
        time.sleep(60)  # noqa: ASYNC251

    async def do_echo_body(self, kong: Any):
        body = await kong.request.get_raw_body(0)
        assert type(body) is bytes
        await kong.service.request.set_raw_body(body)

    async def do_echo_header(self, kong: Any):
        value = await kong.request.get_header("x-odd")
        assert type(value) is str
        await kong.service.request.set_header("x-odd", value)

    async def do_five_calls(self, kong: Any):
        told = [await kong.request.get_header(f"h{number}") for number in range(5)]
        await kong.ctx.shared.set("told", told)

    async def do_calls_at_once(self, kong: Any):
        told = await asyncio.gather(*(kong.request.get_header(f"h{n}") for n in range(3)))
        kong.ctx.shared.set("told", list(told))

    async def do_give_up_a_call(self, kong: Any):
        try:
            async with asyncio.timeout(0.05):
                await kong.request.get_header("slow")
        except TimeoutError:
            self.mark("gave up")
            await kong.ctx.shared.set("told", "gave up")

    async def do_pdk_error(self, kong: Any):
        try:
            await kong.request.get_header("bad")
        except Exception as error:  # noqa: BLE001
            await kong.ctx.shared.set("told", f"{type(error).__name__}: {error}")

    async def do_serialize(self, kong: Any):
        told = await kong.log.serialize()
        await kong.ctx.shared.set("told", told["latencies"]["kong"])

    async def do_work_in_log(self, kong: Any):
        self.mark("begun")
        await asyncio.sleep(0.3)
        self.mark("reported")

    async def do_wait_for_file(self, kong: Any):
        self.mark("waiting")
        while not Path(self.marks + ".go").exists():  # noqa: ASYNC240, ASYNC110
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    run(NAME, Plugin, version=VERSION, priority=PRIORITY, schema=SCHEMA)

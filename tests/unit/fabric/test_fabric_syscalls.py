"""System calls that need no rights."""

import uvloop

from emulator.fabric.kernel.syscalls import return_zero_pages


def private_kb() -> int:
    with open("/proc/self/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:"))


def test_zero_pages_go_back_to_the_kernel_and_the_object_lives_on():
    loop = uvloop.new_event_loop()
    try:
        before_kb = private_kb()
        return_zero_pages(loop)
        assert before_kb - private_kb() > 200
        assert loop.run_until_complete(_answer()) == 42
    finally:
        loop.close()


async def _answer() -> int:
    return 42

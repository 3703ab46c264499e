"""What all tests share: the import path of the models in `oracle` and the helpers in `support`, and what a machine has.

A fixture `with_…` skips its test, with the reason, on a machine that has not what it is named after.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "support")]

# How long an example takes says what else the machine does; the limit of the whole test is pytest's. Examples are the
# same in each run, so that a change is judged by what it changes; `--hypothesis-profile search` draws others each time.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("skyloom", parent=settings.get_profile("search"), derandomize=True)
settings.load_profile("skyloom")


@pytest.fixture(scope="session")
def with_sandbox() -> None:
    """Namespaces of our own and /dev/net/tun in them."""
    from emulator.fabric import sandbox
    from emulator.model.errors import PlatformError

    try:
        pid = sandbox.spawn(lambda: 0, {})
    except PlatformError as error:
        pytest.skip(f"no sandbox here: {error}")
    os.waitpid(pid, 0)


@pytest.fixture(scope="session")
def with_root(with_sandbox: None) -> None:
    """A sandbox, and root: whoever is not root has a user namespace, which only the sandbox's own tests cover."""
    if os.geteuid() != 0:
        pytest.skip("needs root here; the sandbox's own tests cover user namespaces")

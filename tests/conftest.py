"""Puts tests/ and tests/support on the import path: any test may import the models in `oracle` and the helpers."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "support")]

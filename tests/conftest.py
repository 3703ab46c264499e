"""Puts tests/ on the import path, so that any test may import the models in `oracle`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

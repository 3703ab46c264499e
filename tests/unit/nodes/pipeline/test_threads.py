"""One node's stage takes one processor: what the package sets before numpy is imported."""

import subprocess
import sys


def test_blas_gets_one_thread():
    """In a fresh process: here numpy has been imported long ago."""
    script = (
        "import nodes.pipeline.model.llama, numpy, os\n"
        "square = numpy.ones((600, 600)); square @ square\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"

"""One language model over several nodes: parts of it on each, activations on the links between them.

numpy's BLAS gets one thread here, unless the environment says otherwise: a stage is one node's processor, and with two
threads on a shared machine decoding fell to half its speed, with jitter. It reads this when it is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

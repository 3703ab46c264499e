"""One language model over several nodes: parts of it on each, activations on the links between them.

`model` computes, `codecs` make activations small, `planner` decides where. `calibrate` measures a model here, `cache`
and `profile` keep that, and problems for the planner are made of it; `proposal` and `judge` answer `plan` and
`evaluate` of `command`. `stages` are the programs that run a plan; `observed` reads what they told, for `figures`.

numpy's BLAS gets one thread here, unless the environment says otherwise: a stage is one node's processor, and with two
threads on a shared machine decoding fell to half its speed, with jitter. It reads this when it is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

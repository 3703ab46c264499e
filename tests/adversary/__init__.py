"""The hostile search: committees under an adversary that has the network, up to f validators, crashes and clients.

Two searches look for what must never be. `schedules` is of the pure cores: it grows certified DAGs by itself, as an
adversary that orders all deliveries and up to f liars would have them, and gives every honest validator (`views`) its
own consensus and ledger; the floor of what is kept moves several times past everything. `committees` is of whole
primaries on `nodes.dagbft.simulate`: votes, fetching, disks, crashes at the worst moment, lost disks, cuts, liars.

Neither knows a rule of the order or of early finality. What they know is what a certificate is (a quorum of voters that
hold its parents, one header a slot) and what must come of it (`verdict`): one order, places and results that were told
early come true, a restart gives what was there before, nobody honest is blamed, and after calm rounds all commit again.

`python -m tests.adversary --rounds 200000` is the long search, `python -m tests.adversary --mutants` puts each fault of
`mutants.txt` into a copy of the sources and searches until it is found, and `test_search.py` plays a little of both.
`--seed 17` plays one schedule again and says all that it is made of.
"""

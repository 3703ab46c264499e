"""The machine: scenario, orbit, schedule, fabric, link, runtime, record, show, cli. It knows no protocol.

Data moves through the rooms in that order and nothing flows back; docs/design.md has the picture.
"""

__version__ = "0.1.0"

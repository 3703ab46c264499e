"""The machine, in rooms: model, sdk, orbit, schedule, fabric, scenario, link, record, observe, runtime, client, report,
ui, cli. It knows no protocol.

A room imports only rooms before it; docs/design.md has the picture and the reasons.
"""

__version__ = "0.1.0"

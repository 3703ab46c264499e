"""Options about the sky, `--site`, `--start` and `--weather`, as overrides of a scenario's keys.

Invariant: each is another spelling of keys that the scenario has (`shell.epoch`, `ground.weather`, `ground.station`),
so a topology without these keys refuses them as it would refuse `--set`.
"""

from __future__ import annotations

from pathlib import Path


def overrides(start: str | None = None, weather: Path | None = None, site: str | None = None) -> list[str]:
    """`--set` items. UsageError where a value cannot be."""
    items = [] if site is None else _site(site)
    if start is not None:
        items.append(f"shell.epoch={_instant(start)}")
    if weather is not None:
        from json import dumps

        items.append(f"ground.weather={dumps(str(weather.resolve()))}")
    return items


def _instant(text: str) -> str:
    from datetime import UTC, datetime

    from emulator.model.errors import UsageError

    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start {text}: no time; expected UTC such as 2026-11-23T18:00:00Z") from None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _site(text: str) -> list[str]:
    """One terminal there instead of the scenario's stations, with the gateways around it."""
    from emulator.model.errors import UsageError

    try:
        lat_deg, lon_deg = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--site {text}: no place; expected LATITUDE,LONGITUDE in degrees such as 52.27,8.05"
        ) from None
    if not (abs(lat_deg) <= 90 and abs(lon_deg) <= 180):
        raise UsageError(f"--site {text}: no place on Earth; expected latitudes to ±90 and longitudes to ±180")
    station = f'[{{name = "site", lat_deg = {lat_deg!r}, lon_deg = {lon_deg!r}}}]'
    return [
        "ground.stations=[]", f"ground.station={station}", 'ground.terminal="starlink"', "ground.antennas=1",
        'gateways.sites="near"',
    ]  # fmt: skip

"""Gateways and points of presence: a short list of real places, and readers of the lists that others keep as XML.

Positions of the shipped list are those of the place named, to 0.1° (the antennas may stand some km away); that a
gateway or PoP of Starlink is there is public (regulators' filings, the operator's peering records). Invariant: a name
is fit for a node, gw-<name> or pop-<name>, and unique within its list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emulator.model.errors import DataError
from emulator.model.inputs import read_text
from emulator.model.network import Floats

EARTH_RADIUS_M = 6_371_008.8  # mean radius (IUGG): great circles on a sphere are right to 0.5 %


class Site(NamedTuple):
    """A place with equipment: latitude and longitude in degrees, north and east positive."""

    name: str
    lat_deg: float
    lon_deg: float


GATEWAYS: dict[str, Site] = {
    site.name: site
    for site in (
        Site("aerzen", 52.0, 9.3), Site("usingen", 50.3, 8.5), Site("gravelines", 51.0, 2.1),
        Site("villenave", 44.8, -0.6), Site("wherstead", 52.0, 1.1), Site("hoo", 51.4, 0.6),
        Site("woodwalton", 52.4, -0.2), Site("chalfont", 51.6, -0.6), Site("fawley", 50.8, -1.3),
        Site("goonhilly", 50.0, -5.2), Site("isle-of-man", 54.1, -4.5), Site("elfordstown", 51.9, -8.1),
        Site("villarejo", 40.2, -3.3), Site("lepe", 37.3, -7.2), Site("ibi", 38.6, -0.6),
        Site("milano", 45.3, 9.2), Site("foggia", 41.5, 15.5), Site("marsala", 37.8, 12.4),
        Site("wola-krobowska", 51.9, 20.9), Site("kaunas", 54.9, 23.9), Site("muallim", 40.9, 31.5),
        Site("redmond", 47.7, -122.1), Site("north-bend", 47.5, -121.8), Site("bellingham", 48.8, -122.5),
        Site("kalama", 46.0, -122.8), Site("quincy", 47.2, -119.9), Site("hawthorne", 33.9, -118.3),
        Site("arbuckle", 39.0, -122.1), Site("conrad", 48.2, -111.9), Site("merrillan", 44.5, -90.8),
        Site("mcgregor", 31.4, -97.4), Site("baxley", 31.8, -82.4), Site("beekmantown", 44.8, -73.6),
        Site("litchfield", 41.7, -73.2), Site("cheyenne", 41.1, -104.8), Site("anchorage", 61.2, -149.9),
        Site("monterrey", 25.7, -100.3), Site("noviciado", -33.4, -70.8), Site("itaborai", -22.7, -42.9),
        Site("lekki", 6.5, 3.6), Site("akita", 39.7, 140.1), Site("hitachinaka", 36.4, 140.5),
        Site("te-hana", -36.3, 174.5), Site("boorowa", -34.4, 148.7), Site("wagin", -33.3, 117.3),
        Site("broken-hill", -31.9, 141.5),
    )
}  # fmt: skip
POPS: dict[str, Site] = {
    site.name: site
    for site in (
        Site("frankfurt", 50.1, 8.7), Site("london", 51.5, 0.0), Site("madrid", 40.4, -3.7),
        Site("milan", 45.5, 9.2), Site("warsaw", 52.2, 21.0), Site("sofia", 42.7, 23.3),
        Site("seattle", 47.6, -122.3), Site("los-angeles", 34.1, -118.2), Site("denver", 39.7, -105.0),
        Site("dallas", 32.9, -96.8), Site("chicago", 41.9, -87.6), Site("atlanta", 33.9, -84.4),
        Site("new-york", 40.7, -74.0), Site("queretaro", 20.6, -100.3), Site("bogota", 4.7, -74.1),
        Site("lima", -12.1, -77.0), Site("santiago", -33.4, -70.7), Site("sao-paulo", -23.6, -46.6),
        Site("lagos", 6.5, 3.4), Site("nairobi", -1.3, 36.8), Site("tokyo", 35.7, 139.8),
        Site("singapore", 1.3, 103.9), Site("manila", 14.6, 121.0), Site("jakarta", -6.2, 106.9),
        Site("perth", -32.0, 115.9), Site("sydney", -33.9, 151.2), Site("auckland", -36.8, 174.8),
    )
}  # fmt: skip


def read_gateways(path: str | Path) -> tuple[Site, ...]:
    """Gateways of an XML list as StarPerf keeps it (`Starlink.xml`: Latitude, Longitude, Description of each).

    A site that the list has once for each of its bands becomes one. DataError says which entry is wrong, and why.
    """
    return _read(Path(path), "Description")


def read_pops(path: str | Path) -> tuple[Site, ...]:
    """Points of presence of an XML list as StarPerf keeps it (Latitude, Longitude, Name of each)."""
    return _read(Path(path), "Name")


def _read(path: Path, title: str) -> tuple[Site, ...]:
    from xml.etree import ElementTree

    try:
        text = read_text(path)
        if "<!ENTITY" in text:
            raise DataError(f"{path} declares entities; expected a plain list of sites")
        root = ElementTree.fromstring(text)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; expected a readable XML list of sites") from None
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; expected an XML list of sites") from None
    sites: dict[str, Site] = {}
    places: set[tuple[float, float]] = set()
    for entry in root:
        words = entry.findtext(title) or entry.tag
        where = f"{path}: {entry.tag} ({words})"
        lat_deg, lon_deg = (
            _degrees(entry.findtext("Latitude"), 90, where),
            _degrees(entry.findtext("Longitude"), 180, where),
        )
        if (lat_deg, lon_deg) in places:
            continue
        places.add((lat_deg, lon_deg))
        name = base = slug(words)
        number = 2
        while name in sites:
            name, number = f"{base}-{number}", number + 1
        sites[name] = Site(name, lat_deg, lon_deg)
    if not sites:
        raise DataError(f"{path} names no site; expected entries with Latitude, Longitude and {title}")
    return tuple(sites.values())


def _degrees(text: str | None, limit: float, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise DataError(f"{where}: {text!r} is no number of degrees") from None
    if not abs(value) <= limit:
        raise DataError(f"{where}: {value:g}°; expected -{limit:g} to {limit:g}")
    return value


def slug(words: str) -> str:
    """A node's name of a place: "Redmond, WA | Mega" → "redmond-wa"."""
    words = words.split("|")[0].split(" - ")[-1] if words[:3].isupper() else words.split("|")[0].split(" - ")[0]
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:30].strip("-") or "site"


def great_circle_m(lat_deg: Floats | float, lon_deg: Floats | float, sites: Sequence[Site]) -> Floats:
    """Distances along the ground (..., sites) from points to sites, in metres."""
    lat, lon = np.radians(np.asarray(lat_deg))[..., None], np.radians(np.asarray(lon_deg))[..., None]
    to_lat = np.radians([site.lat_deg for site in sites])
    to_lon = np.radians([site.lon_deg for site in sites])
    half = np.sin((to_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(to_lat) * np.sin((to_lon - lon) / 2) ** 2
    distance: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return distance

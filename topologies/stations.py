"""Sites for ground stations: cities with latitude, longitude (degrees, north and east positive) and height (m).

Positions are those of the city, to 0.01°, from public gazetteers; they are places to put a dish, not real gateways.
"""

from __future__ import annotations

SITES: dict[str, tuple[float, float, float]] = {
    "anchorage": (61.22, -149.90, 31),
    "auckland": (-36.85, 174.76, 20),
    "bangkok": (13.75, 100.50, 2),
    "berlin": (52.52, 13.40, 34),
    "bogota": (4.71, -74.07, 2582),
    "buenos-aires": (-34.60, -58.38, 25),
    "cairo": (30.04, 31.24, 23),
    "cape-town": (-33.92, 18.42, 25),
    "chicago": (41.88, -87.63, 181),
    "delhi": (28.61, 77.21, 216),
    "dubai": (25.20, 55.27, 5),
    "frankfurt": (50.11, 8.68, 112),
    "honolulu": (21.31, -157.86, 5),
    "istanbul": (41.01, 28.98, 39),
    "jakarta": (-6.21, 106.85, 8),
    "johannesburg": (-26.20, 28.05, 1753),
    "lagos": (6.52, 3.38, 41),
    "lima": (-12.05, -77.04, 154),
    "london": (51.51, -0.13, 11),
    "los-angeles": (34.05, -118.24, 93),
    "louvain": (50.67, 4.61, 120),
    "madrid": (40.42, -3.70, 667),
    "manila": (14.60, 120.98, 16),
    "mcmurdo": (-77.85, 166.67, 24),
    "mexico-city": (19.43, -99.13, 2240),
    "moscow": (55.76, 37.62, 156),
    "mumbai": (19.08, 72.88, 14),
    "nairobi": (-1.29, 36.82, 1795),
    "new-york": (40.71, -74.01, 10),
    "osnabrueck": (52.28, 8.05, 63),
    "paris": (48.86, 2.35, 35),
    "perth": (-31.95, 115.86, 20),
    "reykjavik": (64.15, -21.94, 61),
    "rome": (41.90, 12.50, 21),
    "santiago": (-33.45, -70.67, 570),
    "sao-paulo": (-23.55, -46.63, 760),
    "seattle": (47.61, -122.33, 53),
    "seoul": (37.57, 126.98, 38),
    "shanghai": (31.23, 121.47, 4),
    "singapore": (1.35, 103.82, 15),
    "stockholm": (59.33, 18.07, 28),
    "svalbard": (78.22, 15.65, 10),
    "sydney": (-33.87, 151.21, 58),
    "tokyo": (35.68, 139.69, 40),
    "toronto": (43.65, -79.38, 76),
    "tromso": (69.65, 18.96, 10),
    "ushuaia": (-54.80, -68.30, 23),
    "vancouver": (49.28, -123.12, 70),
    "victoria": (48.43, -123.37, 23),
    "warsaw": (52.23, 21.01, 100),
}

DEFAULT = (
    "auckland", "cape-town", "dubai", "london", "mumbai", "nairobi", "new-york", "paris", "sao-paulo", "seattle",
    "sydney", "tokyo",
)  # fmt: skip

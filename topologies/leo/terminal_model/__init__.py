"""The access link of a LEO broadband terminal, as public measurements show it: slots, grants, load, weather, losses.

The model is pure: what it says of an instant depends on its parameters, the seed, the terminal's name and the time
alone. docs/leo-access.md explains it, `topologies.leo` compiles it into the rows that links play.
"""

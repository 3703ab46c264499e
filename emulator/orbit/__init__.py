"""Orbits: elements and TLE files, SGP4 propagation, frames, visibility, ISL grids, handover policies.

Pure functions over arrays: no packets, no kernel, no wall clock. Metres, seconds and radians unless a name says
otherwise; satellites and stations are numbered from 0 in the order of their arrays.
"""

"""Packet captures while a run plays: the capture writer, and what captures are told of names, handovers and actions."""

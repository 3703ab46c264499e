"""Packet captures while a run plays: files, who may follow, handovers that are near."""

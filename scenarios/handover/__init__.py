"""Handover: what one TCP flow makes of slots, and of losses that come in bursts."""

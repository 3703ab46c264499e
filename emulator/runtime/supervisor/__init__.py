"""The supervisor leads a run through its stages, from the schedule to the verdict."""

"""The run folder: events, samples, links, packets and the verdict. Writers of plain values: no process, no clock."""

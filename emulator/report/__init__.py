"""Reports: pages, drawings, comparisons, sweeps and the summary of a run."""

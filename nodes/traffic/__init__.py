"""Traffic programs: latency probes, TCP bulk flows and request/response between live nodes of the scenario."""

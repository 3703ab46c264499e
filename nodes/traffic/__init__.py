"""Traffic programs: latency probes, TCP bulk flows and request/response, all between live nodes named by the scenario."""

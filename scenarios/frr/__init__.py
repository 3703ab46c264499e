"""FRR routers over moving links: how soon OSPF has the routes, after a start, a handover, a cut."""

"""Studies flow on: which object goes where, what waits for whom, and how it is sent."""

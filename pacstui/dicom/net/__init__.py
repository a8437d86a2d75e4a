"""Sockets under the upper layer: listener and requestor, native asyncio."""

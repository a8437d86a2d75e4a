"""The control socket: HTTP and JSON over a Unix socket in the data directory. There is no remote control port."""

"""Jobs: what the node does by itself, when, and how it went."""

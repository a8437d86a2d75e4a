"""The index: what is known of the objects, and how to search it."""

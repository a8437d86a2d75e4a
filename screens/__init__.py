"""The terminal console. It sees the node only through the contract."""

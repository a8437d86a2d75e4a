"""The equipment around the node: the Application Entities that it knows, and how they answer."""

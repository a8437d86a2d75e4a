"""Room on the archive's volume: rules by which studies are purged, the trash that they go to, and repair of objects."""

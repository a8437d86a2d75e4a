"""What the node does by itself to stay sound: kinds of jobs about archive, database, audit trail and peers."""

"""What the node knows about itself while it runs: rates, associations, arriving studies, the event feed, problems."""

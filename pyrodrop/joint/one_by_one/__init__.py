"""What a joint fit leaves over, looked at droplet by droplet: own edges, and light that slopes under each."""

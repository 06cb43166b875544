"""How the network learns: targets, loss, turned and mirrored copies, fresh patches, scores on held-out ones."""

"""What simulated images of known truth teach about network and joint fit; ``recognition.learn`` makes weights of it."""

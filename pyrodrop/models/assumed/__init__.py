"""What a caller assumes in the place of a model's own: priors of its sites, and the family of its noise."""

"""Images of one sample pooled, and samples compared: what their images say together, and by how much they differ."""

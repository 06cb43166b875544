"""Which of the candidates are droplets: their presence and their count, by what the joint fit says of each."""

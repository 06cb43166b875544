"""How far a measurement is: what a person sees of it while it runs. Nothing is computed here."""

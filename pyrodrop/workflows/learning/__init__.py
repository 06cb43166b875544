"""How the network that proposes circles learns a laboratory's own droplets: ``pyrodrop learn``."""

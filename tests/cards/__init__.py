"""Card numbers: what is one, where they are masked, and that none of them stays anywhere."""

"""Recovery of sparse latent vectors: as published, by search, and what no search can beat."""
